internal import CurlTransport
internal import HTTPTypes

/// One question to the daemon.
public struct OperatorRequest: Sendable, Hashable {
    /// `GET`, `POST` or `DELETE`.
    public var method: String
    /// The path, escaped, with its query.
    public var path: String
    /// The longest wait for the answer.
    public var deadline: Duration
}

/// The daemon's answer, of any status.
public struct OperatorReply: Sendable, Hashable {
    /// The HTTP status.
    public var status: Int
    /// The body.
    public var body: [UInt8]

    /// Bundles both.
    public init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// Asks the daemon; a failure is one of reaching it.
public typealias Exchange = @Sendable (OperatorRequest) async -> Result<OperatorReply, OperatorError>

extension OperatorClient {
    /// Speaks HTTP with the daemon at `address` while `body` runs.
    ///
    /// - Throws: What `body` throws; `.unreachable` where no HTTP client can be made.
    public static func connected(
        to address: OperatorAddress,
        _ body: (OperatorClient) async throws(OperatorError) -> Void
    ) async throws(OperatorError) {
        let transport: CurlTransport
        do throws(CurlError) {
            transport = try CurlTransport(configuration: CurlConfiguration())
        } catch {
            throw .unreachable("\(error)")
        }
        let client = OperatorClient(url: address.url) { request in
            await exchange(request, address, transport)
        }
        do throws(OperatorError) {
            try await body(client)
        } catch {
            await transport.close()
            throw error
        }
        await transport.close()
    }

    private static func exchange(
        _ request: OperatorRequest,
        _ address: OperatorAddress,
        _ transport: CurlTransport
    ) async -> Result<OperatorReply, OperatorError> {
        guard let method = HTTPRequest.Method(rawValue: request.method) else {
            return .failure(.usage("no such method"))
        }
        var headers: HTTPFields = [:]
        if let token = address.token { headers[.authorization] = "Bearer \(token)" }
        let call = TransportRequest(
            method: method,
            url: address.url + request.path,
            headers: headers,
            deadline: request.deadline,
            maxResponseBytes: 64 << 20
        )
        do throws(CurlError) {
            let response = try await transport.send(call)
            return .success(OperatorReply(status: response.status, body: response.body))
        } catch {
            if case .invalidRequest(let reason) = error { return .failure(.usage("\(address.url): \(reason)")) }
            return .failure(.unreachable("cannot reach \(address.url): \(error)"))
        }
    }
}
