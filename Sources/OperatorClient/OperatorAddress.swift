/// Where the daemon is and how to be let in.
public struct OperatorAddress: Sendable {
    /// Without a slash at the end.
    public let url: String
    /// The bearer token, if there is one.
    let token: String?

    /// Takes the address from the option, or from where the daemon itself reads where to listen; else the default.
    ///
    /// - Parameters:
    ///   - url: `http://` or `https://`, host and port; `nil` for the environment's or the default.
    ///   - tokenFile: The contents of the file that holds the token; `nil` for the environment's.
    ///   - environment: Of this process.
    /// - Throws: `.usage` for what cannot be an address or a token.
    public init(url: String?, tokenFile: String?, environment: [String: String]) throws(OperatorError) {
        if let url {
            self.url = try Self.checked(url)
        } else if let listener = environment["SANDBOX_MANAGER_API_LISTEN"], !listener.isEmpty {
            self.url = try Self.reachable(listener)
        } else {
            self.url = "http://127.0.0.1:8484"
        }
        token = try Self.token(tokenFile ?? environment["SANDBOX_MANAGER_API_TOKEN"])
        if tokenFile != nil, token == nil { throw .usage("the token file is empty") }
    }

    private static func checked(_ url: String) throws(OperatorError) -> String {
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw .usage("--url must begin with http:// or https://")
        }
        var url = url[...]
        while url.last == "/" { url.removeLast() }
        return String(url)
    }

    /// Whoever listens on every address is reached on this machine's own.
    private static func reachable(_ listener: String) throws(OperatorError) -> String {
        guard let colon = listener.lastIndex(of: ":") else {
            throw .usage("SANDBOX_MANAGER_API_LISTEN has no port; name the daemon with --url")
        }
        let host = listener[..<colon]
        let port = listener[listener.index(after: colon)...]
        guard port != "0" else {
            throw .usage("SANDBOX_MANAGER_API_LISTEN leaves the port to the system; name the daemon with --url")
        }
        switch host {
        case "0.0.0.0": return "http://127.0.0.1:\(port)"
        case "[::]": return "http://[::1]:\(port)"
        default: return "http://\(host):\(port)"
        }
    }

    /// The first of those that the daemon takes, without the line break that files end with.
    private static func token(_ text: String?) throws(OperatorError) -> String? {
        guard let text else { return nil }
        var token = text.prefix { $0 != "," }.drop { $0.isWhitespace }
        while token.last?.isWhitespace == true { token.removeLast() }
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .usage("the token has characters that no token has")
        }
        return token.isEmpty ? nil : String(token)
    }
}
