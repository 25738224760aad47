internal import Glibc

/// An address to listen on.
public struct Listener: Sendable, Hashable, CustomStringConvertible {
    /// A numeric IPv4 or IPv6 address, the latter without brackets.
    public var host: String
    /// The port; 0 lets the system choose.
    public var port: UInt16

    /// Bundles both; `host` is not checked.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Whether only this machine can reach it: 127.0.0.0/8 or `::1`.
    public var isLoopback: Bool {
        isIPv6 ? Self.ipv6Bytes(host) == Self.ipv6Bytes("::1") : host.hasPrefix("127.")
    }

    /// Whether the address is an IPv6 one.
    public var isIPv6: Bool { host.contains(":") }

    /// The form of the configuration, with brackets around an IPv6 address.
    public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension Listener {
    /// Reads `host:port`; `localhost` stands for 127.0.0.1, other names are refused.
    ///
    /// A name may resolve to several addresses or to another one tomorrow: what a daemon opens to the network is to be
    /// read from its configuration.
    init(parsing text: String) throws(InvalidValue) {
        guard let colon = text.lastIndex(of: ":") else {
            throw InvalidValue("has no port; write host:port, for example 127.0.0.1:8484")
        }
        let hostText = text[..<colon]
        guard let port = Self.port(text[text.index(after: colon)...]) else {
            throw InvalidValue("has no port from 0 to 65535 after the last colon")
        }
        self.port = port
        if hostText.hasPrefix("["), hostText.hasSuffix("]") {
            host = String(hostText.dropFirst().dropLast())
            guard Self.ipv6Bytes(host) != nil else { throw InvalidValue("has no IPv6 address in its brackets") }
        } else if hostText.contains(":") {
            throw InvalidValue("has an IPv6 address without brackets; write [address]:port")
        } else if hostText.isEmpty || hostText == "*" {
            throw InvalidValue("names no address; write 0.0.0.0 or [::] to listen on all of them")
        } else {
            host = hostText == "localhost" ? "127.0.0.1" : String(hostText)
            guard Self.isIPv4(host) else {
                throw InvalidValue(
                    "has no numeric address before the colon; host names other than localhost are refused"
                )
            }
        }
    }

    static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt16(text)
    }

    static func isIPv4(_ text: String) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, text, &address) == 1
    }

    static func ipv6Bytes(_ text: String) -> [UInt8]? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        return withUnsafeBytes(of: &address) { Array($0) }
    }
}
