public import HTTPTypes

/// One HTTP request, whole.
public struct TransportRequest: Sendable {
    /// The method. A connection that ends without a reply is transparently replaced, once per dead connection, for the
    /// idempotent methods (GET, HEAD, OPTIONS, PUT, DELETE) only: a POST is never sent twice.
    public var method: HTTPRequest.Method

    /// An absolute `http` or `https` URL in ASCII, without user, password or spaces; a fragment is ignored.
    public var url: String

    /// Header fields to send. `Accept: application/json` and the transport's `User-Agent` are added where missing.
    /// Fields that belong to the connection (`Host`, `Content-Length`, `Transfer-Encoding`, `Connection`, …) are
    /// refused.
    public var headers: HTTPFields

    /// The body; empty for none. Refused for HEAD.
    public var body: [UInt8]

    /// The longest time from the call to the complete response, all waiting included; more than zero.
    public var deadline: Duration

    /// The largest response body in bytes; nil for the transport's default.
    public var maxResponseBytes: Int?

    /// Puts a request together; see the properties for units and limits.
    public init(
        method: HTTPRequest.Method,
        url: String,
        headers: HTTPFields = [:],
        body: [UInt8] = [],
        deadline: Duration,
        maxResponseBytes: Int? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.deadline = deadline
        self.maxResponseBytes = maxResponseBytes
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110, section 9.2.2).
    var isIdempotent: Bool {
        switch method {
        case .get, .head, .options, .put, .delete: true
        default: false
        }
    }

    /// Why it cannot be sent, apart from its URL; nil if it can.
    var fault: String? {
        if method == .connect || method == .trace { return "method is not supported" }
        if method == .head && !body.isEmpty { return "a HEAD request has no body" }
        if deadline <= .zero { return "deadline must be more than zero" }
        if let maxResponseBytes, maxResponseBytes < 0 { return "maxResponseBytes must not be negative" }
        if let field = headers.first(where: { Self.connectionFields.contains($0.name.canonicalName) }) {
            return "header field \(field.name.canonicalName) belongs to the connection"
        }
        return nil
    }

    /// Fields that change framing or routing; a caller who could set them could smuggle requests.
    private static let connectionFields: Set<String> = [
        "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    ]
}
