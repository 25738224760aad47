internal import HTTPServer
internal import HTTPTypes
public import SandboxCore

/// Who may use the API.
///
/// With tokens, a bearer token. Without, only what surely comes from this machine and from no web page: the host must be
/// a loopback name, and a foreign origin is refused, so that a browser cannot be made to lease sandboxes.
public struct AccessPolicy: Sendable {
    private let tokens: [[UInt8]]

    /// - Parameter tokens: Up to two, so that one can be replaced by another without an outage.
    public init(tokens: [Secret]) {
        self.tokens = tokens.map { Array($0.reveal().utf8) }
    }

    func refusal(_ request: ServerRequest) -> Problem? {
        tokens.isEmpty ? loopbackRefusal(request) : tokenRefusal(request)
    }

    private func tokenRefusal(_ request: ServerRequest) -> Problem? {
        let refused = Problem(.unauthenticated, "a valid bearer token is required")
        guard let header = request.headers[.authorization] else { return refused }
        let scheme = "bearer "
        guard header.utf8.count > scheme.utf8.count, header.prefix(scheme.count).lowercased() == scheme else {
            return refused
        }
        let given = Array(header.utf8.dropFirst(scheme.utf8.count))
        // Every token is compared whole, so that time tells nothing about any of them.
        var isKnown = false
        for token in tokens where Self.areEqual(token, given) { isKnown = true }
        return isKnown ? nil : refused
    }

    private func loopbackRefusal(_ request: ServerRequest) -> Problem? {
        if let host = request.headers[HTTPField.Name.host], !Self.isLoopback(authority: host[...]) {
            return Problem(.unauthenticated, "without an API token only loopback host names are served")
        }
        if let origin = request.headers[.origin], !Self.isLoopback(origin: origin) {
            return Problem(.unauthenticated, "without an API token no foreign origin is served")
        }
        return nil
    }

    /// Compares in time that depends on the lengths only.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (one, other) in zip(left, right) { difference |= one ^ other }
        return difference == 0
    }

    /// An origin is a scheme and an authority, nothing more; browsers also send `null`.
    private static func isLoopback(origin: String) -> Bool {
        for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
            return isLoopback(authority: origin.dropFirst(scheme.count))
        }
        return false
    }

    /// Whether `authority` is a loopback name or address, with a port or without. Whatever else it holds (a user, a
    /// second host, rubbish behind the port) is no reason to believe its beginning.
    private static func isLoopback(authority: Substring) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        guard authority.hasPrefix(host) else { return false }
        let port = authority.dropFirst(host.count)
        guard port.isEmpty || isPort(port) else { return false }
        if host == "[::1]" || host.lowercased() == "localhost" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { isNumber($0, upTo: 255) }
    }

    /// A colon and a port, which may be left out (RFC 3986).
    private static func isPort(_ text: Substring) -> Bool {
        text.first == ":" && (text.count == 1 || isNumber(text.dropFirst(), upTo: 65_535))
    }

    private static func isNumber(_ text: Substring, upTo greatest: Int) -> Bool {
        // `Int` would let a sign pass.
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            && Int(text).map { $0 <= greatest } ?? false
    }
}

extension HTTPField.Name {
    /// `Host`, which HTTPTypes keeps to itself.
    static var host: HTTPField.Name { hostName }

    private static let hostName: HTTPField.Name = {
        guard let name = HTTPField.Name("Host") else { preconditionFailure("a constant header name is malformed") }
        return name
    }()
}
