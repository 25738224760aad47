internal import CurlTransport
internal import HTTPTypes
public import SandboxCore

// Commands, through the agent's process service.

private struct StartBody: Encodable {
    struct Process: Encodable {
        var cmd: String
        var args: [String]
    }
    var process: Process
    var stdin = false
}

/// An error of the agent itself: its code is a word, where the proxy's is a number.
private struct AgentError: Decodable {
    var code: String
    var message: String?
}

extension E2BProvider {
    /// How much longer than the command the reply may take: the agent ends the command, we only end the waiting.
    private static let replyGrace: Duration = .seconds(2)

    /// Runs one command inside the sandbox to its end.
    ///
    /// The reply is held whole before output is cut to the limit, so a command that prints more than
    /// ``E2BConfiguration/maxExecReplyBytes`` fails as `.malformed`.
    ///
    /// - Throws: `.unsupported` for standard input, which the agent takes only through a second call; `.gone` on the
    ///   control plane's word; `.timedOut` when not even the agent answered.
    public func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        guard request.standardInput.isEmpty else {
            throw ProviderError(.exec, .unsupported, "E2B commands take no standard input", effect: .none)
        }
        guard let program = request.command.first, Addresses.isSafe(sandbox.id) else {
            throw ProviderError(.exec, .http(status: 400), "no command, or no sandbox of E2B's", effect: .none)
        }
        let deadline = Deadline(request.timeout + Self.replyGrace, time)
        let body = StartBody(process: .init(cmd: program, args: Array(request.command.dropFirst())))
        var start = agentRequest(sandbox, .post, "/process.Process/Start", authenticated: true)
        start.headers[.contentType] = "application/connect+json"
        start.headers[.connectProtocolVersion] = "1"
        start.headers[.connectTimeout] = String(max(1, Int(request.timeout.inSeconds * 1000)))
        start.body = ConnectFrames.frame(JSON.encode(body))
        start.maxResponseBytes = configuration.maxExecReplyBytes
        let redactor = redactor(sandbox)
        let response = try await transport.send(start, for: .exec, mutates: true, deadline, redactor)
        guard response.status == 200 else { throw await failure(sandbox, response, deadline, redactor) }
        switch ProcessStream.read(response.body, limit: request.outputLimit) {
        case .result(let result): return result
        case .failed(let error): throw failure(error.code, error.message, redactor)
        case .malformed: throw ProviderError(.exec, .malformed, "a stream that cannot be read", effect: .unknown)
        }
    }

    private func failure(
        _ sandbox: ProviderSandbox,
        _ response: TransportResponse,
        _ deadline: Deadline,
        _ redactor: Redactor
    ) async -> ProviderError {
        if let error = JSON.decode(AgentError.self, response.body) {
            return failure(error.code, error.message, redactor)
        }
        guard response.status == 502 else { return ReplyFailure(.exec, response, redactor).error }
        switch EdgeRefusal(response) {
        case .portClosed: return ProviderError(.exec, .refused, "the agent does not listen", effect: .none)
        case .unrouted: return ProviderError(.exec, .http(status: 502), "502 of the edge", effect: .unknown)
        case .notFound:
            do throws(ProviderError) {
                guard let info = try await info(sandbox.id, .exec, deadline) else { return gone(sandbox.id, .exec) }
                let word = info.state == .paused ? "paused" : "unknown to the edge"
                return ProviderError(.exec, .http(status: 409), "the sandbox is \(word)", effect: .none)
            } catch {
                return ProviderError(.exec, .http(status: 502), "unknown to the edge", effect: .none)
            }
        }
    }

    /// Source: the Connect protocol, "Error codes".
    private func failure(_ code: String, _ message: String?, _ redactor: Redactor) -> ProviderError {
        let kind: ProviderError.Kind =
            switch code {
            case "unauthenticated": .http(status: 401)
            case "permission_denied": .http(status: 403)
            case "not_found": .http(status: 404)
            case "invalid_argument", "failed_precondition", "out_of_range": .http(status: 400)
            case "unimplemented": .unsupported
            case "unavailable", "resource_exhausted": .http(status: 503)
            default: .http(status: 500)
            }
        return ProviderError(
            .exec,
            kind,
            redactor.words("\(code): \(message ?? "")"),
            effect: code == "unknown" || code == "internal" ? .unknown : .none
        )
    }
}
