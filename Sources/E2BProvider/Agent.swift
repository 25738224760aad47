internal import CurlTransport
internal import HTTPTypes
internal import SandboxCore

/// What the edge in front of the sandboxes says when no agent answers.
enum EdgeRefusal: Equatable {
    /// No such sandbox runs there: killed, expired or paused.
    case notFound
    /// The sandbox runs, and nothing listens on the port.
    case portClosed
    /// The edge could not reach the sandbox, or it is no word of the edge at all.
    case unrouted

    /// Reads the body of a 502.
    init(_ response: TransportResponse) {
        guard let body = JSON.decode(ErrorReply.self, response.body) else {
            self = .unrouted
            return
        }
        if body.message.contains("was not found") {
            self = .notFound
        } else if body.message.contains("port is not open") {
            self = .portClosed
        } else {
            self = .unrouted
        }
    }
}

extension E2BProvider {
    /// A request to the agent of a sandbox. Both routing headers always go along; a per-sandbox host ignores them.
    func agentRequest(
        _ sandbox: ProviderSandbox,
        _ method: HTTPRequest.Method,
        _ path: String,
        authenticated: Bool
    ) -> TransportRequest {
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        headers[.sandboxID] = sandbox.id.rawValue
        headers[.sandboxPort] = String(Addresses.agentPort)
        if let token = sandbox.trafficAccessToken { headers[.trafficToken] = token.reveal() }
        if authenticated, let token = sandbox.envdAccessToken { headers[.accessToken] = token.reveal() }
        return TransportRequest(
            method: method,
            url: addresses.agent(of: sandbox) + path,
            headers: headers,
            deadline: .zero
        )
    }

    func redactor(_ sandbox: ProviderSandbox) -> Redactor {
        api.redactor.also([sandbox.envdAccessToken, sandbox.trafficAccessToken])
    }
}
