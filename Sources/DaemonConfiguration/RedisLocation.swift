public import SandboxCore

/// Where Redis is, taken apart; the password is kept apart from everything that may be shown.
///
/// Forms: `redis://[[user]:password@]host[:port][/db]`, `unix://[[user]:password@]/path/to/socket[?db=n]` and
/// `redis+sentinel://[[user]:password@]host[:port],host[:port]/master-name[/db]`.
public struct RedisLocation: Sendable, Hashable {
    /// A host name or address, and a port.
    public struct Node: Sendable, Hashable {
        /// A name or a numeric address, IPv6 without brackets.
        public var host: String
        /// The port, never 0.
        public var port: UInt16
    }

    /// How Redis is reached.
    public enum Target: Sendable, Hashable {
        /// One server.
        case server(Node)
        /// A socket of this machine, by absolute path.
        case socket(path: String)
        /// Whoever the sentinels name as the master.
        case sentinel(nodes: [Node], master: String)
    }

    /// How Redis is reached.
    public var target: Target
    /// The user of AUTH; `nil` is Redis' default user.
    public var user: String?
    /// The password of AUTH.
    public var password: Secret?
    /// The database of SELECT, 0 to 65535.
    public var database: Int

    /// Takes a URL apart.
    init(parsing text: String) throws(InvalidValue) {
        guard let separator = text.firstRange(of: "://") else {
            throw InvalidValue("is not a URL; write redis://host:port/db")
        }
        let scheme = text[..<separator.lowerBound].lowercased()
        let rest = text[separator.upperBound...]
        switch scheme {
        case "redis", "unix", "redis+unix", "redis+sentinel":
            break
        case "rediss", "rediss+sentinel":
            throw InvalidValue(
                "asks for TLS, which this build's Redis client does not speak; use redis:// on a private network, "
                    + "or a TLS tunnel on this machine such as stunnel"
            )
        default:
            throw InvalidValue("has an unknown scheme; use redis://, unix:// or redis+sentinel://")
        }
        var parts = try Self.split(rest)
        (user, password) = try Self.credentials(parts.userInfo)
        switch scheme {
        case "redis":
            target = .server(try Self.node(parts.authority, defaultPort: 6379))
        case "redis+sentinel":
            var nodes: [Node] = []
            for item in parts.authority.split(separator: ",", omittingEmptySubsequences: false) {
                nodes.append(try Self.node(item, defaultPort: 26379))
            }
            guard let master = parts.path.first, !master.isEmpty else {
                throw InvalidValue("names no master; write redis+sentinel://host:port,host:port/master-name/db")
            }
            parts.path.removeFirst()
            target = .sentinel(nodes: nodes, master: try Self.decoded(master))
        default:
            guard parts.authority.isEmpty, !parts.path.isEmpty else {
                throw InvalidValue("names no absolute path; write unix:///path/to/socket")
            }
            target = .socket(path: try Self.decoded("/" + parts.path.joined(separator: "/")))
            parts.path = []
        }
        database = try Self.database(path: parts.path, query: parts.query)
    }
}

extension RedisLocation {
    private struct Parts {
        var userInfo: Substring?
        var authority: Substring
        var path: [String]
        var query: Substring?
    }

    private static func split(_ text: Substring) throws(InvalidValue) -> Parts {
        guard !text.contains("#") else { throw InvalidValue("has a fragment; write # in a password as %23") }
        let beforeQuery = text.prefix { $0 != "?" }
        let query = beforeQuery.endIndex == text.endIndex ? nil : text[beforeQuery.endIndex...].dropFirst()
        let authority = beforeQuery.prefix { $0 != "/" }
        let path = beforeQuery[authority.endIndex...].dropFirst()
        guard !path.contains("@"), query?.contains("@") != true else {
            throw InvalidValue("has an @ after the host; write / ? and @ in a password as %2F %3F and %40")
        }
        var segments = path.isEmpty ? [] : path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if segments.last == "" { segments.removeLast() }
        let pieces = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard pieces.count <= 2, let host = pieces.last else {
            throw InvalidValue("has more than one @; write @ in a password as %40")
        }
        return Parts(userInfo: pieces.count == 2 ? pieces[0] : nil, authority: host, path: segments, query: query)
    }

    private static func credentials(_ userInfo: Substring?) throws(InvalidValue) -> (user: String?, password: Secret?) {
        guard let userInfo else { return (nil, nil) }
        let user = userInfo.prefix { $0 != ":" }
        let password = userInfo[user.endIndex...].dropFirst()
        // A user without a password cannot log in; Redis' own client takes such a text for the user as well.
        guard !password.isEmpty else {
            throw InvalidValue("has a user but no password; write redis://:password@host or redis://user:password@host")
        }
        let name = try decoded(user)
        return (name.isEmpty ? nil : name, Secret(try decoded(password)))
    }

    private static func node(_ text: Substring, defaultPort: UInt16) throws(InvalidValue) -> Node {
        var host = text
        var port: UInt16? = defaultPort
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw InvalidValue("has an IPv6 address without its ]") }
            host = text[...end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty { port = rest.first == ":" ? Listener.port(rest.dropFirst()) : nil }
            guard Listener.ipv6Bytes(String(host.dropFirst().dropLast())) != nil else {
                throw InvalidValue("has no IPv6 address in its brackets")
            }
            host = host.dropFirst().dropLast()
        } else {
            if let colon = text.firstIndex(of: ":") {
                host = text[..<colon]
                port = Listener.port(text[text.index(after: colon)...])
            }
            guard isHostName(host) else { throw InvalidValue("has no valid host") }
        }
        guard let port, port != 0 else { throw InvalidValue("has a port that is not 1 to 65535") }
        return Node(host: String(host), port: port)
    }

    private static func database(path: [String], query: Substring?) throws(InvalidValue) -> Int {
        var texts = path
        for pair in query?.split(separator: "&") ?? [] {
            guard pair.hasPrefix("db=") else { throw InvalidValue("has a query parameter other than db") }
            texts.append(String(pair.dropFirst(3)))
        }
        guard texts.count <= 1 else { throw InvalidValue("has more path than a database number") }
        guard let text = texts.first else { return 0 }
        guard let number = Listener.port(text[...]) else { throw InvalidValue("has a database that is no number") }
        return Int(number)
    }

    private static func decoded(_ text: some StringProtocol) throws(InvalidValue) -> String {
        guard let decoded = percentDecoded(text) else { throw InvalidValue("has a bad % escape") }
        return decoded
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

/// The text with its `%XX` escapes resolved once; `nil` if an escape is malformed, gives NUL or no valid UTF-8.
func percentDecoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard rest.count >= 2, let digits = String(validating: rest.prefix(2), as: UTF8.self),
            digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt8(digits, radix: 16), value != 0
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}
