internal import RedisClient
internal import SandboxCore

extension ValueKind where Value == Listener {
    static var listener: Self {
        ValueKind(
            typeName: "address",
            allowed: "host:port; IPv6 as [address]:port",
            parse: { text throws(InvalidValue) in try Listener(parsing: text) }
        )
    }
}

extension ValueKind where Value == String {
    /// Any text without blanks and control characters.
    static func word(_ allowed: String = "") -> Self {
        ValueKind(
            typeName: "text",
            allowed: allowed,
            parse: { text throws(InvalidValue) in
                guard isVisibleASCII(text) else { throw InvalidValue("has characters other than visible ASCII") }
                return text
            }
        )
    }

    /// A label that is safe in Redis keys, metadata filters and file names.
    static var label: Self {
        ValueKind(
            typeName: "text",
            allowed: "1 to 64 letters, digits, `.`, `_`, `-`",
            parse: { text throws(InvalidValue) in
                guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isLabelByte) else {
                    throw InvalidValue("is not 1 to 64 letters, digits, '.', '_' or '-'")
                }
                return text
            }
        )
    }

    /// A host name.
    static var host: Self {
        ValueKind(
            typeName: "host name",
            parse: { text throws(InvalidValue) in
                guard isHostName(text) else { throw InvalidValue("is not a host name; write it without https://") }
                return text
            }
        )
    }

    /// An absolute URL of HTTP without user-info, query and fragment; a slash at its end is removed.
    static var webURL: Self {
        ValueKind(
            typeName: "URL",
            allowed: "http:// or https://",
            parse: { text throws(InvalidValue) in try webURL(text) },
            display: redactedURL
        )
    }

    private static func webURL(_ text: String) throws(InvalidValue) -> String {
        let lowercased = text.lowercased()
        let scheme = ["http://", "https://"].first { lowercased.hasPrefix($0) }
        guard let scheme else { throw InvalidValue("is not an http:// or https:// URL") }
        guard isVisibleASCII(text), !text.contains("@"), !text.contains("?"), !text.contains("#") else {
            throw InvalidValue("has user-info, a query, a fragment or blanks, which are not accepted here")
        }
        let rest = text.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { $0 != "/" }
        let host: Substring
        var port: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[...end].dropFirst().dropLast()
            port = authority[authority.index(after: end)...]
            guard Listener.ipv6Bytes(String(host)) != nil else { throw InvalidValue("has no valid host") }
        } else {
            host = authority.prefix { $0 != ":" }
            port = authority[host.endIndex...]
            guard isHostName(host) else { throw InvalidValue("has no valid host") }
        }
        if let port, !port.isEmpty {
            guard port.first == ":", let number = Listener.port(port.dropFirst()), number != 0 else {
                throw InvalidValue("has a port that is not 1 to 65535")
            }
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}

extension ValueKind where Value == Secret {
    /// A secret that travels in an HTTP header.
    static var secret: Self {
        ValueKind(
            typeName: "secret",
            isSecret: true,
            parse: { text throws(InvalidValue) in
                guard isVisibleASCII(text) else {
                    throw InvalidValue("has characters other than visible ASCII, which no HTTP header can carry")
                }
                return Secret(text)
            },
            display: { _ in mask }
        )
    }
}

extension ValueKind where Value == [Secret] {
    /// One or two bearer tokens.
    static var tokens: Self {
        ValueKind(
            typeName: "secret",
            allowed: "one token, or two separated by a comma",
            isSecret: true,
            isList: true,
            parse: { text throws(InvalidValue) in
                let items = commaList(text)
                guard items.count <= 2 else { throw InvalidValue("has more than two tokens") }
                guard items.allSatisfy({ isVisibleASCII($0) }) else {
                    throw InvalidValue("has an empty token, or one with characters other than visible ASCII")
                }
                return items.map(Secret.init)
            },
            display: { commaList($0).map { _ in mask }.joined(separator: ",") }
        )
    }
}

/// A Redis URL, as given and taken apart.
struct ParsedRedisURL: Sendable {
    var url: Secret
    var redacted: String
    var endpoint: RedisEndpoint
}

extension RedisEndpoint {
    /// Takes a URL apart; a fault is one of the setting's value.
    init(parsing text: String) throws(InvalidValue) {
        do throws(RedisError) {
            try self.init(url: text)
        } catch {
            guard case .unusable(let reason) = error else { throw InvalidValue("is no URL of Redis") }
            throw InvalidValue(reason.hasPrefix("the URL ") ? String(reason.dropFirst(8)) : reason)
        }
    }
}

extension ValueKind where Value == ParsedRedisURL {
    static var redisURL: Self {
        ValueKind(
            typeName: "URL",
            allowed: "redis://, unix:// or redis+sentinel://",
            isSecret: true,
            parse: { text throws(InvalidValue) in
                guard isVisibleASCII(text) else { throw InvalidValue("has characters other than visible ASCII") }
                let endpoint = try RedisEndpoint(parsing: text)
                return ParsedRedisURL(url: Secret(text), redacted: redactedURL(text), endpoint: endpoint)
            },
            // A text that is no valid URL may have its password anywhere.
            display: { (try? RedisEndpoint(parsing: $0)) == nil ? mask : redactedURL($0) }
        )
    }
}

/// Letters, digits, `-`, `_` and dots: a host name or an IPv4 address.
func isHostName(_ text: some StringProtocol) -> Bool {
    guard (1...253).contains(text.utf8.count), !text.hasPrefix("."), !text.hasPrefix("-") else { return false }
    return text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default:
            false
        }
    }
}

func isVisibleASCII(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
}

func isLabelByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
    default:
        false
    }
}
