import CCurl

/// Where a request goes, as libcurl itself reads the URL.
struct RequestTarget: Sendable, Hashable {
    /// Lower case, without the brackets of an IPv6 address.
    let host: String
    let port: Int
    let isEncrypted: Bool

    /// Scheme, host and port: what a connection can be shared by.
    var origin: String { "\(isEncrypted ? "https" : "http")://\(host):\(port)" }

    /// The key under which libcurl keeps addresses.
    var hostAndPort: String { "\(host):\(port)" }

    var isNumericAddress: Bool { NameResolver.isNumericAddress(host) }

    /// Reads `url`; thread-safe.
    ///
    /// - Throws: `.invalidRequest` with a reason that does not repeat the URL, which may hold a secret.
    init(url: String) throws(CurlError) {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .invalidRequest(reason: "URL holds spaces, control characters or non-ASCII bytes")
        }
        guard let parsed = curl_url() else { throw .invalidRequest(reason: "no memory to read the URL") }
        defer { curl_url_cleanup(parsed) }
        guard curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK else {
            throw .invalidRequest(reason: "URL is malformed")
        }
        switch Self.part(CURLUPART_SCHEME, of: parsed) {
        case "https": isEncrypted = true
        case "http": isEncrypted = false
        default: throw .invalidRequest(reason: "URL scheme is not http or https")
        }
        guard Self.part(CURLUPART_USER, of: parsed) == nil, Self.part(CURLUPART_PASSWORD, of: parsed) == nil else {
            throw .invalidRequest(reason: "URL holds a user or password")
        }
        guard let host = Self.part(CURLUPART_HOST, of: parsed)?.lowercased(), !host.isEmpty,
            let port = Self.part(CURLUPART_PORT, of: parsed).flatMap({ Int($0) })
        else {
            throw .invalidRequest(reason: "URL has no host or no valid port")
        }
        // libcurl drops a final dot in some places and not in others; a cached address must match everywhere.
        guard !host.hasSuffix("."), Self.part(CURLUPART_ZONEID, of: parsed) == nil else {
            throw .invalidRequest(reason: "URL host ends in a dot or names a zone")
        }
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        self.port = port
    }

    private static func part(_ part: CURLUPart, of url: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(url, part, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
