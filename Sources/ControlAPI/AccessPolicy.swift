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
        if let host = request.headers[HTTPField.Name.host], !Self.isLoopback(authority: host) {
            return Problem(.unauthenticated, "without an API token only loopback host names are served")
        }
        if let origin = request.headers[.origin] {
            let parts = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, Self.isLoopback(authority: String(parts[2])) else {
                return Problem(.unauthenticated, "without an API token no foreign origin is served")
            }
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

    static func isLoopback(authority: String) -> Bool {
        let host: Substring
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return false }
            host = authority[authority.index(after: authority.startIndex)..<end]
        } else {
            host = authority.prefix { $0 != ":" }
        }
        if host == "::1" || host.lowercased() == "localhost" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
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
