internal import HTTPServer
internal import ManagerMetrics
internal import SandboxCore

// The bodies that people read: how the manager stands, and why a key is in its state.
extension Replies {
    static func stats(
        _ totals: ManagerStatistics,
        _ gauges: ManagerGauges,
        provider: String,
        version: String
    ) -> ServerResponse {
        let usage = gauges.usage
        let body = JSONWriter.object { json in
            json.field("version", version)
            json.field("provider", provider)
            json.field("store_mode", gauges.storeMode.rawValue)
            switches(gauges, &json)
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
            // This very question is one of them.
            json.field("operations_in_flight", max(0, gauges.inFlight - 1))
            ledger(gauges, &json)
            upstreams(gauges, &json)
            loops(gauges, &json)
        }
        return json(200, body)
    }

    /// How the manager stands after an operator's word.
    static func standing(_ gauges: ManagerGauges) -> ServerResponse {
        let body = JSONWriter.object { json in
            switches(gauges, &json)
            json.field("operations_in_flight", gauges.inFlight)
            json.field("leases", gauges.usage.active + gauges.usage.paused)
        }
        return json(200, body)
    }

    private static func switches(_ gauges: ManagerGauges, _ json: inout JSONWriter) {
        json.field("draining", gauges.isDraining)
        json.field("creations_stopped", gauges.areCreationsStopped)
    }

    /// Every sandbox that the books know of, by what it is to the manager.
    private static func ledger(_ gauges: ManagerGauges, _ json: inout JSONWriter) {
        let usage = gauges.usage
        json.field("ledger") { json in
            json.field("creating", usage.reservations)
            json.field("leased", usage.active)
            json.field("paused", usage.paused)
            json.field("warm", usage.warm)
            json.field("killing", usage.outbox)
            json.field("oldest_kill_seconds", usage.oldestKill.inSeconds)
            json.field("oldest_intent_seconds", usage.oldestIntent.inSeconds)
        }
        json.field("locks") { json in
            json.field("held", gauges.userLocks.held)
            json.field("idle", gauges.userLocks.idle)
            json.field("waiters", gauges.userLocks.waiters)
            json.field("oldest_hold_seconds", gauges.userLocks.oldestHold.inSeconds)
            json.field("oldest_wait_seconds", gauges.userLocks.oldestWait.inSeconds)
        }
    }

    private static func upstreams(_ gauges: ManagerGauges, _ json: inout JSONWriter) {
        json.field("breakers") { json in
            json.field("provider", gauges.providerBreaker.rawValue)
            json.field("store", gauges.storeBreaker.rawValue)
        }
        json.field("provider_last_listing") { json in
            json.field("running", gauges.provider.running)
            json.field("paused", gauges.provider.paused)
        }
        json.field("drift") { json in
            json.field("untracked_at_provider", gauges.drift.untrackedAtProvider)
            json.field("missing_at_provider", gauges.drift.missingAtProvider)
            json.field("store_only", gauges.drift.storeOnly)
        }
    }

    private static func loops(_ gauges: ManagerGauges, _ json: inout JSONWriter) {
        let loops = gauges.loopIntervals.sorted { $0.key.rawValue < $1.key.rawValue }
        json.field("loops", array: loops) { json, loop in
            json.field("loop", loop.key.rawValue)
            json.field("interval_seconds", loop.value.inSeconds)
            if let last = gauges.loopSuccesses[loop.key] {
                json.field("last_success", last)
            } else {
                json.null("last_success")
            }
        }
    }

    static func explanation(_ key: LeaseKey, _ explanation: KeyExplanation, provider: String) -> ServerResponse {
        let body = JSONWriter.object { json in
            json.field("user_id", key.user)
            json.field("project_id", key.project)
            json.field("summary", texts: explanation.summary)
            json.field("locked", explanation.isLocked)
            json.field("in_memory", explanation.isInMemory)
            if let lease = explanation.lease {
                json.field("lease") { describe(lease, provider: provider, withAccess: false, &$0) }
            } else {
                json.null("lease")
            }
            working(explanation, &json)
            condition(explanation, &json)
            json.field("events", array: explanation.events) { json, event in
                json.field("at", event.at)
                json.field("event", event.text)
            }
        }
        return json(200, body)
    }

    /// Who works on the key, and what waits for an outcome.
    private static func working(_ explanation: KeyExplanation, _ json: inout JSONWriter) {
        if let reservation = explanation.reservation {
            json.field("reservation") { json in
                json.field("owner", reservation.owner)
                json.field("epoch", Int(reservation.epoch.rawValue))
                json.field("seconds_left", reservation.remaining.inSeconds)
            }
        } else {
            json.null("reservation")
        }
        if let lock = explanation.lock {
            json.field("lock") { json in
                json.field("operation", lock.operation.rawValue)
                json.field("held_seconds", lock.age.inSeconds)
                json.field("waiters", lock.waiters)
            }
        } else {
            json.null("lock")
        }
        json.field("intents", array: explanation.intents) { json, intent in
            json.field("token", intent.token.rawValue)
            json.field("owner", intent.owner)
            json.field("age_seconds", intent.age.inSeconds)
            json.field("holds_key", intent.isHeld)
        }
        json.field("kills", array: explanation.kills) { json, kill in
            json.field("sandbox_id", kill.ticket.sandbox.rawValue)
            json.field("reason", kill.ticket.reason.rawValue)
            json.field("epoch", kill.ticket.epoch.map { Int($0.rawValue) })
            json.field("age_seconds", kill.age.inSeconds)
            json.field("failed_attempts", kill.ticket.attempts)
            json.field("last_error", kill.ticket.lastFailure?.rawValue)
            json.field("next_attempt_in_seconds", kill.nextIn.inSeconds)
            json.field("holds_slot", kill.ticket.token != nil)
        }
    }

    /// Health, limits, and what else may be in the way.
    private static func condition(_ explanation: KeyExplanation, _ json: inout JSONWriter) {
        if let probe = explanation.probe {
            json.field("probe") { json in
                json.field("verdict", probe.verdict.rawValue)
                json.field("age_seconds", probe.age.inSeconds)
                json.field("sick_in_a_row", probe.sickInARow)
                json.field("silent_in_a_row", probe.silentInARow)
            }
        } else {
            json.null("probe")
        }
        json.field("slots") { json in
            json.field("user_in_use", explanation.slots.user)
            json.field("user_releasing", explanation.slots.userReleasing)
            json.field("user_limit", explanation.slots.limits.perUser)
            json.field("total_in_use", explanation.slots.total)
            json.field("total_limit", explanation.slots.limits.total)
        }
        json.field("next_creation_in_seconds", explanation.nextCreation.inSeconds)
        json.field("provider_pause_seconds", explanation.providerPause.inSeconds)
        json.field("breaker", explanation.breaker.rawValue)
        json.field("store_mode", explanation.storeMode.rawValue)
        json.field("draining", explanation.isDraining)
        json.field("creations_stopped", explanation.areCreationsStopped)
    }
}
