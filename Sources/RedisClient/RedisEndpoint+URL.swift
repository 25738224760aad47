import Glibc

extension RedisEndpoint {
    /// Takes a URL apart.
    ///
    /// Forms: `redis://[[user]:password@]host[:port][/db]`, `unix://[[user]:password@]/path/to/socket[?db=n]` and
    /// `redis+sentinel://[[user]:password@]host[:port],host[:port]/master-name[/db]`. Ports default to 6379, those of
    /// sentinels to 26379. Special characters in users, passwords, paths and master names are written as `%XX`.
    ///
    /// - Throws: `.unusable`, which says what is wrong without quoting anything of the URL.
    public init(url: String) throws(RedisError) {
        guard let separator = url.firstRange(of: "://") else {
            throw .unusable(reason: "the URL has no scheme; write redis://host:port/db")
        }
        let scheme = url[..<separator.lowerBound].lowercased()
        var parts = try URLParts(url[separator.upperBound...])
        let (user, password) = try parts.credentials()
        let target: Target
        switch scheme {
        case "redis":
            target = .server(try Self.address(parts.authority, defaultPort: 6379))
        case "unix", "redis+unix":
            guard parts.authority.isEmpty, !parts.path.isEmpty else {
                throw .unusable(reason: "the URL names no absolute path; write unix:///path/to/socket")
            }
            target = .socket(path: try percentDecoded("/" + parts.path.joined(separator: "/")))
            parts.path = []
        case "redis+sentinel":
            var nodes: [RedisAddress] = []
            for item in parts.authority.split(separator: ",", omittingEmptySubsequences: false) {
                nodes.append(try Self.address(item, defaultPort: 26379))
            }
            guard let master = parts.path.first, !master.isEmpty else {
                throw .unusable(
                    reason: "the URL names no master; write redis+sentinel://host:port,host:port/master-name/db"
                )
            }
            parts.path.removeFirst()
            target = .sentinel(nodes: nodes, master: try percentDecoded(master))
        case "rediss", "rediss+sentinel":
            throw .unusable(
                reason:
                    "the URL asks for TLS, which this build's Redis client does not speak; use redis:// on a private network, "
                    + "or a TLS tunnel on this machine such as stunnel"
            )
        default:
            throw .unusable(reason: "the URL has an unknown scheme; use redis://, unix:// or redis+sentinel://")
        }
        self.init(target: target, user: user, password: password, database: try parts.database())
    }

    private static func address(_ text: Substring, defaultPort: UInt16) throws(RedisError) -> RedisAddress {
        var host = text
        var port: UInt16? = defaultPort
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw .unusable(reason: "the URL has an IPv6 address without its ]")
            }
            host = text[..<end].dropFirst()
            let rest = text[end...].dropFirst()
            if !rest.isEmpty { port = rest.first == ":" ? decimal(rest.dropFirst()) : nil }
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(host), &address) == 1 else {
                throw .unusable(reason: "the URL has no IPv6 address in its brackets")
            }
        } else {
            if let colon = text.firstIndex(of: ":") {
                host = text[..<colon]
                port = decimal(text[colon...].dropFirst())
            }
            guard isHostName(host) else { throw .unusable(reason: "the URL has no valid host") }
        }
        guard let port, port != 0 else { throw .unusable(reason: "the URL has a port that is not 1 to 65535") }
        return RedisAddress(host: String(host), port: port)
    }
}

/// The pieces of a URL after its scheme, split before any escape is resolved.
private struct URLParts {
    var userInfo: Substring?
    var authority: Substring
    var path: [String]
    var query: Substring?

    init(_ text: Substring) throws(RedisError) {
        guard !text.contains("#") else {
            throw .unusable(reason: "the URL has a fragment; write # in a password as %23")
        }
        let beforeQuery = text.prefix { $0 != "?" }
        query = beforeQuery.endIndex == text.endIndex ? nil : text[beforeQuery.endIndex...].dropFirst()
        let authority = beforeQuery.prefix { $0 != "/" }
        let path = beforeQuery[authority.endIndex...].dropFirst()
        guard !path.contains("@"), query?.contains("@") != true else {
            throw .unusable(reason: "the URL has an @ after the host; write / ? and @ in a password as %2F %3F and %40")
        }
        let pieces = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard pieces.count <= 2, let host = pieces.last else {
            throw .unusable(reason: "the URL has more than one @; write @ in a password as %40")
        }
        userInfo = pieces.count == 2 ? pieces[0] : nil
        self.authority = host
        self.path = path.isEmpty ? [] : path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if self.path.last == "" { self.path.removeLast() }
    }

    func credentials() throws(RedisError) -> (user: String?, password: RedisPassword?) {
        guard let userInfo else { return (nil, nil) }
        let user = userInfo.prefix { $0 != ":" }
        let password = userInfo[user.endIndex...].dropFirst()
        // A user without a password cannot log in.
        guard !password.isEmpty else {
            throw .unusable(
                reason: "the URL has a user but no password; write redis://:password@host or redis://user:password@host"
            )
        }
        let name = try percentDecoded(user)
        return (name.isEmpty ? nil : name, RedisPassword(try percentDecoded(password)))
    }

    func database() throws(RedisError) -> Int {
        var texts = path[...]
        for pair in query?.split(separator: "&") ?? [] {
            guard pair.hasPrefix("db=") else { throw .unusable(reason: "the URL has a query parameter other than db") }
            texts.append(String(pair.dropFirst(3)))
        }
        guard let text = texts.popFirst() else { return 0 }
        guard texts.isEmpty else { throw .unusable(reason: "the URL has more path than a database number") }
        guard let number = decimal(text) else { throw .unusable(reason: "the URL has a database that is no number") }
        return Int(number)
    }
}

/// Digits alone: the parser of the standard library would take a sign as well.
private func decimal(_ text: some StringProtocol) -> UInt16? {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? UInt16(text) : nil
}

private func isHostName(_ text: some StringProtocol) -> Bool {
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

/// The text with its `%XX` escapes resolved once; NUL and bytes that are no UTF-8 are refused.
private func percentDecoded(_ text: some StringProtocol) throws(RedisError) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit),
            high != 0 || low != 0
        else { throw .unusable(reason: "the URL has a bad % escape") }
        bytes.append(high << 4 | low)
    }
    guard let decoded = String(validating: bytes, as: UTF8.self) else {
        throw .unusable(reason: "the URL has an escape that is no UTF-8")
    }
    return decoded
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
