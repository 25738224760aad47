/// Why the server itself refuses a request, without asking the handler.
public enum ServerRefusal: Hashable, Sendable, CaseIterable {
    /// The request is malformed, or could be read in two ways.
    case badRequest(BadRequestReason)
    /// The body is, or is announced to be, longer than `maxBodyBytes`.
    case payloadTooLarge
    /// Request line and headers are longer than `maxHeaderBytes`.
    case headerTooLarge
    /// `maxPendingRequests` requests are already being worked on.
    case overloaded
    /// The server is stopping and the grace period for this request is over.
    case draining
    /// The handler's response cannot be sent (its status is outside 200 to 599).
    case internalError

    /// What exactly is wrong with a malformed request.
    public enum BadRequestReason: String, Hashable, Sendable, CaseIterable {
        /// The request line holds a NUL, a second space, or a byte that needs escaping.
        case requestLine = "The request line is malformed."
        /// The target is neither a path nor `*`; absolute and authority forms belong to proxies.
        case targetForm = "The request target must be a path."
        /// A header is folded, has an invalid name or value, or its line does not end in CR LF.
        case headerSyntax = "A header line is malformed."
        /// HTTP/1.1 without `Host`, or more than one.
        case host = "Exactly one Host header is required."
        /// `Content-Length` with `Transfer-Encoding`, or two that differ.
        case bodyLength = "The length of the body is ambiguous."
        /// Another transfer coding than a single `chunked`.
        case transferEncoding = "The only transfer coding understood is chunked."
        /// Another expectation than `100-continue`.
        case expectation = "The only expectation understood is 100-continue."
    }

    /// Every refusal, one for each reason of `badRequest`.
    public static var allCases: [ServerRefusal] {
        BadRequestReason.allCases.map { .badRequest($0) }
            + [.payloadTooLarge, .headerTooLarge, .overloaded, .draining, .internalError]
    }

    /// The HTTP status that fits.
    public var status: Int {
        switch self {
        case .badRequest: 400
        case .payloadTooLarge: 413
        case .headerTooLarge: 431
        case .overloaded, .draining: 503
        case .internalError: 500
        }
    }

    /// A constant sentence that can be shown to the client.
    public var detail: String {
        switch self {
        case .badRequest(let reason): reason.rawValue
        case .payloadTooLarge: "The body is too large."
        case .headerTooLarge: "The header is too large."
        case .overloaded: "Too many requests are being worked on."
        case .draining: "The server is shutting down."
        case .internalError: "The server failed to answer."
        }
    }
}
