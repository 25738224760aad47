internal import CurlTransport
internal import HTTPTypes
internal import SandboxCore

/// Requests to the control plane, and what their failures mean.
struct ControlPlane: Sendable {
    let base: String
    let apiKey: Secret
    let transport: CurlTransport
    let redactor: Redactor

    /// Sends one request; any status is a response.
    ///
    /// - Throws: What kept the response away; `.unknown` effect once a byte of the request may have arrived, unless
    ///   it only reads.
    func send(
        _ operation: ProviderOperation,
        _ method: HTTPRequest.Method,
        _ path: String,
        body: [UInt8] = [],
        extra: HTTPFields = [:],
        _ deadline: Deadline
    ) async throws(ProviderError) -> TransportResponse {
        var headers = extra
        headers[.apiKey] = apiKey.reveal()
        headers[.accept] = "application/json"
        if !body.isEmpty { headers[.contentType] = "application/json" }
        let request = TransportRequest(method: method, url: base + path, headers: headers, body: body, deadline: .zero)
        return try await transport.send(request, for: operation, mutates: method != .get, deadline, redactor)
    }

    /// What a response that is not the expected one means.
    func failure(_ operation: ProviderOperation, _ response: TransportResponse) -> ProviderError {
        ReplyFailure(operation, response, redactor).error
    }
}

extension HTTPField.Name {
    static let apiKey = known("X-API-Key")
    static let accessToken = known("X-Access-Token")
    static let trafficToken = known("e2b-traffic-access-token")
    static let sandboxID = known("E2b-Sandbox-Id")
    static let sandboxPort = known("E2b-Sandbox-Port")
    static let idempotencyKey = known("Idempotency-Key")
    static let nextToken = known("X-Next-Token")
    static let totalRunning = known("X-Total-Running")
    static let connectProtocolVersion = known("Connect-Protocol-Version")
    static let connectTimeout = known("Connect-Timeout-Ms")

    private static func known(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no header name") }
        return name
    }
}

extension CurlTransport {
    /// Sends a request within what is left of a deadline, and translates the transport's errors.
    func send(
        _ request: TransportRequest,
        for operation: ProviderOperation,
        mutates: Bool,
        _ deadline: Deadline,
        _ redactor: Redactor
    ) async throws(ProviderError) -> TransportResponse {
        var request = request
        request.deadline = deadline.rest
        guard request.deadline > .zero else {
            throw ProviderError(operation, .timedOut(after: deadline.limit), "no time left", effect: .none)
        }
        do throws(CurlError) {
            return try await send(request)
        } catch {
            throw ProviderError(
                operation,
                error.kind(deadline),
                redactor.words(error.description),
                effect: mutates && error.mayHaveReachedServer ? .unknown : .none
            )
        }
    }
}

extension CurlError {
    fileprivate func kind(_ deadline: Deadline) -> ProviderError.Kind {
        switch self {
        case .dns: .dns
        case .refused: .refused
        case .reset, .other: .reset
        case .tls: .tls
        case .timedOut: .timedOut(after: deadline.limit)
        case .tooLarge, .protocolError: .malformed
        case .cancelled: .cancelled
        case .closed, .queueFull, .unusable: .unavailable
        case .invalidRequest: .unsupported
        }
    }
}
