import Glibc

/// Turns a host name into addresses; called on threads that may block.
public struct NameResolver: Sendable {
    /// Why a name has no addresses.
    public struct Failure: Error, Sendable, Hashable {
        /// In words, for people.
        public var message: String

        /// Makes a failure with its reason.
        public init(message: String) { self.message = message }
    }

    let lookup: @Sendable (String) -> Result<[String], Failure>

    /// Makes a resolver from a function.
    ///
    /// - Parameter lookup: Takes a host name in lower case and returns numeric IPv4 or IPv6 addresses in the order to
    ///   try them. It runs on a thread of its own and may take its time: nothing but requests to the same name waits
    ///   for it, and those only as long as the connect timeout. It cannot be cancelled; after the transport is closed
    ///   its result is dropped.
    public init(_ lookup: @escaping @Sendable (String) -> Result<[String], Failure>) {
        self.lookup = lookup
    }

    /// The system's resolver: `getaddrinfo`, with its files, servers and timeouts.
    public static let system = NameResolver { systemLookup($0) }

    /// Whether `text` is a numeric IPv4 or IPv6 address.
    static func isNumericAddress(_ text: String) -> Bool {
        var storage = in6_addr()
        return inet_pton(AF_INET, text, &storage) == 1 || inet_pton(AF_INET6, text, &storage) == 1
    }
}

private func systemLookup(_ name: String) -> Result<[String], NameResolver.Failure> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name, nil, &hints, &list)
    guard code == 0 else { return .failure(.init(message: String(cString: gai_strerror(code)))) }
    defer { freeaddrinfo(list) }
    var addresses: [String] = []
    var next = list
    while let entry = next {
        next = entry.pointee.ai_next
        if let text = numericText(of: entry.pointee), !addresses.contains(text) { addresses.append(text) }
    }
    return .success(addresses)
}

private func numericText(of entry: addrinfo) -> String? {
    // NI_MAXHOST, which Glibc does not export to Swift; numeric forms are far shorter.
    var text = [CChar](repeating: 0, count: 1025)
    let code = getnameinfo(
        entry.ai_addr,
        entry.ai_addrlen,
        &text,
        socklen_t(text.count),
        nil,
        0,
        NI_NUMERICHOST
    )
    guard code == 0 else { return nil }
    return text.withUnsafeBufferPointer { buffer in buffer.baseAddress.map { String(cString: $0) } }
}
