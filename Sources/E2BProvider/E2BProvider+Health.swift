internal import CurlTransport
internal import HTTPTypes
public import SandboxCore

// One probe: the agent's own word first; where the edge answers for it, the control plane decides.

extension E2BProvider {
    /// Asks the agent of a sandbox whether it is well. `.gone` and `.paused` only on the control plane's word.
    public func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        guard Addresses.isSafe(sandbox.id) else { return .malformed("the sandbox id is not one of E2B's") }
        let deadline = Deadline(timeout, time)
        let redactor = redactor(sandbox)
        let response: TransportResponse
        do throws(ProviderError) {
            let request = agentRequest(sandbox, .get, "/health", authenticated: false)
            response = try await transport.send(request, for: .health, mutates: false, deadline, redactor)
        } catch {
            return verdict(error, timeout)
        }
        switch response.status {
        case 200..<300 where response.body.isEmpty: return .alive
        case 502:
            switch EdgeRefusal(response) {
            case .notFound: return await settle(sandbox.id, deadline)
            case .portClosed: return .unhealthy("the sandbox runs, but its agent does not listen")
            case .unrouted: return .unreachable("502 of the edge")
            }
        case 401, 403: return .unauthorized
        // 409: still pausing; 429: too many connections; 5xx: the edge's own trouble.
        case 409, 429, 500...: return .unreachable("\(response.status) of the edge")
        default: return .malformed("\(response.status) instead of 204")
        }
    }

    /// "Not found" at the edge is also said of paused sandboxes and of very new ones.
    private func settle(_ id: SandboxID, _ deadline: Deadline) async -> HealthVerdict {
        do throws(ProviderError) {
            guard let info = try await info(id, .health, deadline) else { return .gone }
            return info.state == .paused ? .paused : .unreachable("unknown to the edge, running at the control plane")
        } catch {
            return error.kind == .cancelled ? .cancelled : .unreachable("unknown to the edge; \(error.detail)")
        }
    }

    private func verdict(_ error: ProviderError, _ timeout: Duration) -> HealthVerdict {
        switch error.kind {
        case .timedOut: .timedOut(after: timeout)
        case .cancelled: .cancelled
        case .malformed: .malformed(error.detail)
        default: .unreachable(error.detail)
        }
    }
}
