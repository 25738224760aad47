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

    static func json(_ status: Int, _ body: [UInt8]) -> ServerResponse {
        // Replies name access tokens: no cache may keep them.
        ServerResponse(
            status: status,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: body
        )
    }

    static func describe(
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
