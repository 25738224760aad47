/// How far a request had come when it ended.
public enum TransferPhase: String, Sendable, Hashable, CaseIterable {
    /// Waiting for a connection, a name or TLS. Nothing of the request was sent.
    case connecting
    /// The request was sent, or begun to be sent; no byte of a response was seen.
    case waiting
    /// The response had begun.
    case reading
}

/// Why a request has no response. Carries the host, never a path, a header value or a body.
public enum CurlError: Error, Sendable, Hashable {
    /// The name has no address, or the resolver failed.
    case dns(host: String, message: String)
    /// No connection could be made; `code` is the `errno`, such as `ECONNREFUSED` or `EHOSTUNREACH`, 0 if unknown.
    case refused(host: String, code: Int32)
    /// The connection ended before the response was complete.
    case reset(host: String, phase: TransferPhase)
    /// No trusted encrypted connection: bad certificate, wrong name, no common version, unreadable `caFile`.
    case tls(host: String, message: String)
    /// A time limit passed: `after` is the request's deadline, or the connect timeout in the `.connecting` phase.
    case timedOut(host: String, phase: TransferPhase, after: Duration)
    /// The body is larger than `limit` bytes.
    case tooLarge(host: String, limit: Int)
    /// The calling task was cancelled.
    case cancelled(host: String, phase: TransferPhase)
    /// The transport was closed, before or during the request.
    case closed(phase: TransferPhase)
    /// `limit` requests were waiting already.
    case queueFull(limit: Int)
    /// The request cannot be sent as it is.
    case invalidRequest(reason: String)
    /// The peer answered with something that is not HTTP.
    case protocolError(host: String, message: String)
    /// Anything else that libcurl reports; `code` is its `CURLcode`.
    case other(host: String, code: Int32, message: String, phase: TransferPhase)
    /// The transport cannot be made: bad configuration, or no memory or thread.
    case unusable(reason: String)

    /// How far the request had come.
    public var phase: TransferPhase {
        switch self {
        case .dns, .refused, .tls, .queueFull, .invalidRequest, .unusable: .connecting
        case .reset(_, let phase), .timedOut(_, let phase, _), .cancelled(_, let phase), .closed(let phase),
            .other(_, _, _, let phase):
            phase
        case .tooLarge, .protocolError: .reading
        }
    }

    /// False only if certainly nothing of the request was sent, so that repeating it cannot do anything twice.
    public var mayHaveReachedServer: Bool {
        phase != .connecting
    }
}

extension CurlError: CustomStringConvertible {
    /// One line for a log; free of secrets.
    public var description: String {
        switch self {
        case .dns(let host, let message): "no address for \(host): \(message)"
        case .refused(let host, let code): "no connection to \(host) (errno \(code))"
        case .reset(let host, let phase): "connection to \(host) ended while \(phase.rawValue)"
        case .tls(let host, let message): "no trusted TLS connection to \(host): \(message)"
        case .timedOut(let host, let phase, let after): "\(host) timed out while \(phase.rawValue), after \(after)"
        case .tooLarge(let host, let limit): "response of \(host) is larger than \(limit) bytes"
        case .cancelled(let host, let phase): "request to \(host) cancelled while \(phase.rawValue)"
        case .closed(let phase): "transport closed while \(phase.rawValue)"
        case .queueFull(let limit): "\(limit) requests are waiting already"
        case .invalidRequest(let reason): "invalid request: \(reason)"
        case .protocolError(let host, let message): "\(host) does not speak HTTP: \(message)"
        case .other(let host, let code, let message, let phase):
            "transfer with \(host) failed while \(phase.rawValue): \(message) (curl \(code))"
        case .unusable(let reason): "HTTP client cannot be made: \(reason)"
        }
    }
}
