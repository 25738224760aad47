public import HTTPTypes

/// One complete HTTP response, of any status.
public struct TransportResponse: Sendable {
    /// The protocol a response came with.
    public enum Version: String, Sendable, Hashable {
        /// HTTP/1.0.
        case http1_0 = "1.0"
        /// HTTP/1.1.
        case http1_1 = "1.1"
        /// HTTP/2.
        case http2 = "2"
    }

    /// The status code of the final response; interim ones (100, 103) are skipped.
    public var status: Int
    /// The header fields in the order received, without trailers. Lines that are not valid fields are left out.
    public var headers: HTTPFields
    /// The body as received: redirects are not followed and no content coding is undone.
    public var body: [UInt8]
    /// The protocol of the connection.
    public var version: Version
    /// How many connections were opened for this request; 0 means that an open one was used.
    public var newConnections: Int

    /// Whether the request travelled on a connection that was already open.
    public var connectionReused: Bool { newConnections == 0 }

    /// Puts a response together, for fakes in tests.
    public init(
        status: Int,
        headers: HTTPFields = [:],
        body: [UInt8] = [],
        version: Version = .http1_1,
        newConnections: Int = 0
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.version = version
        self.newConnections = newConnections
    }
}
