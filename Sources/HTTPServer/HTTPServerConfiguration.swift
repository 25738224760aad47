/// The address, limits and deadlines of one listener.
public struct HTTPServerConfiguration: Sendable {
    /// A numeric IPv4 or IPv6 address. Default `127.0.0.1`: nothing is reachable from outside unless asked for.
    public var host: String
    /// TCP port, 0 to 65,535. Default 0: the kernel picks a free one, read back from `HTTPServer.port`.
    public var port: Int
    /// Threads that poll connections and run the handler. Default 1: finished responses come from memory, and on two
    /// processors a second thread added nothing.
    public var threads: Int
    /// Open connections. Default 4,096. Beyond it, new ones wait in the kernel's backlog, so nothing is dropped.
    public var maxConnections: Int
    /// Requests whose answer is still being worked on. Default 4,096. The next one gets the `overloaded` refusal.
    public var maxPendingRequests: Int
    /// Bytes of a request body. Default 65,536, far above any body of the interface. A longer one gets
    /// `payloadTooLarge` and is never buffered.
    public var maxBodyBytes: Int
    /// Bytes of request line and headers together. Default 8,192 (at most 65,535). More gets `headerTooLarge`.
    public var maxHeaderBytes: Int
    /// Bytes the C library reserves for each connection. Default 20,480: a header of `maxHeaderBytes` with a hundred
    /// fields (about 72 bytes of bookkeeping each), and the response's header. A request header that does not fit is
    /// refused by the library in its own words. More costs time too: it is cleared before every request.
    public var connectionMemoryBytes: Int
    /// Time for header *and* body of one request to arrive. Default 10 s. It counts from the opening of the connection,
    /// or from the request line on a kept-alive one, and does not restart with each byte.
    public var arrivalTimeout: Duration
    /// How long a kept-alive connection may wait for its next request line. Default 60 s.
    public var idleTimeout: Duration
    /// How long the client may take to read one response. Default 30 s.
    public var sendTimeout: Duration

    /// The defaults described at each field.
    public init(host: String = "127.0.0.1", port: Int = 0) {
        self.host = host
        self.port = port
        threads = 1
        maxConnections = 4096
        maxPendingRequests = 4096
        maxBodyBytes = 65_536
        maxHeaderBytes = 8192
        connectionMemoryBytes = 20_480
        arrivalTimeout = .seconds(10)
        idleTimeout = .seconds(60)
        sendTimeout = .seconds(30)
    }

    /// What makes this configuration unusable, in words; empty when nothing does.
    public var faults: [String] {
        var faults: [String] = []
        func require(_ holds: Bool, _ fault: String) {
            if !holds { faults.append(fault) }
        }
        require((0...65_535).contains(port), "port must be 0 to 65535")
        require((1...64).contains(threads), "threads must be 1 to 64")
        require((threads...1_000_000).contains(maxConnections), "maxConnections must be at least threads")
        require((0...1_000_000).contains(maxPendingRequests), "maxPendingRequests must be 0 to 1000000")
        require((0...1 << 30).contains(maxBodyBytes), "maxBodyBytes must be 0 to 1 GiB")
        require((256...65_535).contains(maxHeaderBytes), "maxHeaderBytes must be 256 to 65535")
        require((1024...1 << 24).contains(connectionMemoryBytes), "connectionMemoryBytes must be 1 KiB to 16 MiB")
        for (name, timeout) in [
            ("arrivalTimeout", arrivalTimeout), ("idleTimeout", idleTimeout), ("sendTimeout", sendTimeout),
        ] {
            require(timeout > .zero && timeout <= .seconds(86_400), "\(name) must be above 0 and at most one day")
        }
        return faults
    }
}
