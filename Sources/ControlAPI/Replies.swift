internal import HTTPServer
internal import HTTPTypes
internal import SandboxCore

/// The bodies of successful answers.
enum Replies {
    static func grant(_ grant: Grant, provider: String) -> ServerResponse {
        let body = JSONWriter.object { json in
            json.field("sandbox_id", grant.sandbox.id.rawValue)
            json.field("user_id", grant.key.user)
            json.field("project_id", grant.key.project)
            json.field("epoch", Int(grant.epoch.rawValue))
            json.field("source", grant.source.rawValue)
            json.field("provider", provider)
            access(grant.sandbox, &json)
            json.field("created_at", grant.createdAt)
            json.field("expires_at", grant.expiresAt)
        }
        let isNew = grant.source == .created || grant.source == .warmPool
        var response = self.json(isNew ? 201 : 200, body)
        if grant.endsSoon {
            response.headers[.warning] = "299 sandbox-manager \"the lease will soon reach its greatest age\""
        }
        return response
    }

    static func lease(_ lease: LeaseDescription, provider: String) -> ServerResponse {
        json(200, JSONWriter.object { describe(lease, provider: provider, &$0) })
    }

    static func leases(_ leases: [LeaseDescription], cursor: String?, provider: String) -> ServerResponse {
        let body = JSONWriter.object { json in
            json.field("sandboxes", array: leases) { json, lease in
                // A listing carries no access tokens: whoever may list is not thereby let into every sandbox.
                describe(lease, provider: provider, withAccess: false, &json)
            }
            json.field("next_cursor", cursor)
        }
        return json(200, body)
    }

    static func exec(_ result: ExecResult) -> ServerResponse {
        let body = JSONWriter.object { json in
            // Invalid UTF-8 becomes replacement characters.
            json.field("stdout", String(decoding: result.standardOutput, as: UTF8.self))
            json.field("stderr", String(decoding: result.standardError, as: UTF8.self))
            json.field("exit_code", result.exitCode)
            json.field("signal", result.signal)
            json.field("timed_out", result.timedOut)
            json.field("truncated", result.truncated)
        }
        return json(200, body)
    }

    static func verdict(_ verdict: HealthVerdict) -> ServerResponse {
        json(200, JSONWriter.object { $0.field("verdict", verdict.result.rawValue) })
    }

    static func stats(_ totals: ManagerStatistics, _ gauges: ManagerGauges, provider: String) -> ServerResponse {
        let usage = gauges.usage
        let body = JSONWriter.object { json in
            json.field("provider", provider)
            json.field("store_mode", gauges.storeMode.rawValue)
            json.field("requests", totals.requests)
            json.field("created", totals.created)
            json.field("cleaned_up", totals.cleanedUp)
            json.field("rejected", totals.rejected)
            json.field("cache_hits", totals.cacheHits)
            json.field("cache_misses", totals.cacheMisses)
            json.field("hit_rate", totals.hitRate)
            json.field("active", usage.active)
            json.field("paused", usage.paused)
            json.field("creating", usage.reservations)
            json.field("releasing", usage.outbox)
            json.field("slots_in_use", usage.slots)
            json.field("limit_total", gauges.limits.total)
            json.field("limit_per_user", gauges.limits.perUser)
            json.field("most_slots_of_one_user", usage.largestUser)
            json.field("open_intents", usage.intents)
            json.field("user_locks", gauges.userLocks.held + gauges.userLocks.idle)
            json.field("user_lock_waiters", gauges.userLocks.waiters)
        }
        return json(200, body)
    }

    static func explanation(_ key: LeaseKey, _ explanation: KeyExplanation, provider: String) -> ServerResponse {
        let body = JSONWriter.object { json in
            json.field("user_id", key.user)
            json.field("project_id", key.project)
            json.field("locked", explanation.isLocked)
            json.field("in_memory", explanation.isInMemory)
            if let lease = explanation.lease {
                json.field("lease") { describe(lease, provider: provider, withAccess: false, &$0) }
            } else {
                json.null("lease")
            }
            if let reservation = explanation.reservation {
                json.field("reservation") { json in
                    json.field("owner", reservation.owner)
                    json.field("epoch", Int(reservation.epoch.rawValue))
                    json.field("seconds_left", reservation.remaining.inSeconds)
                }
            } else {
                json.null("reservation")
            }
            json.field("events", array: explanation.events) { json, event in
                json.field("at", event.at)
                json.field("event", event.text)
            }
        }
        return json(200, body)
    }

    static func json(_ status: Int, _ body: [UInt8]) -> ServerResponse {
        // Replies name access tokens: no cache may keep them.
        ServerResponse(
            status: status,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: body
        )
    }

    private static func describe(
        _ lease: LeaseDescription,
        provider: String,
        withAccess: Bool = true,
        _ json: inout JSONWriter
    ) {
        let record = lease.record
        json.field("sandbox_id", record.sandbox.id.rawValue)
        json.field("user_id", record.key.user)
        json.field("project_id", record.key.project)
        json.field("epoch", Int(record.epoch.rawValue))
        json.field("provider", provider)
        if withAccess { access(record.sandbox, &json) } else { json.field("template", record.sandbox.template) }
        json.field("state", record.isPaused ? "paused" : "running")
        json.field("created_at", record.createdAt)
        json.field("last_used_at", lease.lastUsedAt)
        json.field("expires_at", lease.expiresAt)
    }

    private static func access(_ sandbox: ProviderSandbox, _ json: inout JSONWriter) {
        json.field("template", sandbox.template)
        json.field("domain", sandbox.domain)
        json.field("envd_access_token", sandbox.envdAccessToken?.reveal())
        json.field("traffic_access_token", sandbox.trafficAccessToken?.reveal())
    }
}
