public import HTTPTypes

/// One request as it came over the wire: nothing is decoded except the framing.
public struct ServerRequest: Sendable {
    /// The method, also when it is not a known one.
    public let method: HTTPRequest.Method
    /// The path, still percent-encoded, without the query. Begins with `/`, or is `*`.
    public let rawPath: String
    /// What follows the first `?`, undecoded; nil without a `?`.
    public let rawQuery: String?
    /// The header fields in order of arrival.
    public let headers: RequestHeaders
    /// The whole body; empty in `HTTPHandler.admit` and in refusals.
    public var body: [UInt8]

    /// A request that did not come over the wire, for tests of handlers.
    public init(
        method: HTTPRequest.Method,
        rawPath: String,
        rawQuery: String? = nil,
        headers: HTTPFields = [:],
        body: [UInt8] = []
    ) {
        self.init(
            method: method,
            rawPath: rawPath,
            rawQuery: rawQuery,
            requestHeaders: RequestHeaders(headers),
            body: body
        )
    }

    init(
        method: HTTPRequest.Method,
        rawPath: String,
        rawQuery: String?,
        requestHeaders: RequestHeaders,
        body: [UInt8] = []
    ) {
        self.method = method
        self.rawPath = rawPath
        self.rawQuery = rawQuery
        headers = requestHeaders
        self.body = body
    }
}
