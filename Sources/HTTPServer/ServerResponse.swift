public import HTTPTypes

/// One response. The server adds `Date`, `Content-Length` and `Connection` itself and ignores these, and
/// `Transfer-Encoding`, in `headers`.
public struct ServerResponse: Sendable {
    /// 200 to 599; anything else is replaced by the `internalError` refusal.
    public var status: Int
    /// The other header fields, in the order they are sent.
    public var headers: HTTPFields
    /// The body. A HEAD request gets its length but not the bytes; 204 and 304 get neither.
    public var body: [UInt8]
    /// Whether the connection ends after this response, although the client would keep it.
    public var closeConnection: Bool

    /// A response; by default without fields and body, on a connection that stays open.
    public init(status: Int, headers: HTTPFields = [:], body: [UInt8] = [], closeConnection: Bool = false) {
        self.status = status
        self.headers = headers
        self.body = body
        self.closeConnection = closeConnection
    }
}
