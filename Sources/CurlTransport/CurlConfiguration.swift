/// How a `CurlTransport` connects; fixed for its life.
public struct CurlConfiguration: Sendable {
    /// The `User-Agent` of requests that bring none. Default: `sandbox-manager`. Keep words that name browsers out of
    /// it: some proxies look for them anywhere in the text and answer with HTML pages.
    public var userAgent = "sandbox-manager"

    /// The most connections to one scheme, host and port; at least 1, default 16. Over HTTP/2 a connection carries up
    /// to 100 requests at once, over HTTP/1.1 one; requests beyond that wait their turn within their own deadline.
    public var maxConnectionsPerHost = 16

    /// The most connections in all, idle ones included; at least 1, default 128. It bounds file descriptors while
    /// leaving room for probes of many hosts at once. An idle connection is closed when a new one needs its place.
    public var maxTotalConnections = 128

    /// The most requests that wait for a connection or a name; at least 1, default 4,096. One more is refused with
    /// `.queueFull`, so a host that hangs cannot collect requests without bound.
    public var maxWaitingRequests = 4096

    /// The longest time for name lookup, connecting and TLS together, within the request's own deadline. Default 5 s:
    /// two lost SYN packets are repeated by then.
    public var connectTimeout: Duration = .seconds(5)

    /// The largest response body, in bytes, unless a request says otherwise; default 4 MiB. The header section has a
    /// fixed limit of 256 KiB.
    public var maxResponseBytes = 4 << 20

    /// An idle connection older than this is not used again; default 60 s, less than the idle limit of usual load
    /// balancers, so that a request seldom meets a connection that is just being closed. Whole seconds, rounded up.
    /// Checked when the next request looks for a connection: with no traffic an idle one may stay open longer.
    public var idleConnectionLifetime: Duration = .seconds(60)

    /// Sent bytes that the peer does not acknowledge for this long break the connection; default 20 s. Without it a
    /// path that went dead under an HTTP/2 connection would fail each new request on it for many minutes.
    public var unacknowledgedDataLimit: Duration = .seconds(20)

    /// A PEM file with the certificate authorities to trust *instead of* the system's; nil, the default, for the
    /// system's. It is read when a connection is made, so a bad path shows as `.tls` errors.
    public var caFile: String?

    /// Whether HTTP/2 may be negotiated over TLS; default true. `http://` URLs always use HTTP/1.1.
    public var allowsHTTP2 = true

    /// Turns host names into addresses; default: the system's resolver. Numeric addresses never reach it.
    public var resolver: NameResolver = .system

    /// How long looked-up addresses are used without asking again; default 30 s, so that a moved service is followed
    /// soon.
    public var addressLifetime: Duration = .seconds(30)

    /// How much longer an outdated address is still used while a lookup runs behind it; default 10 min. A resolver
    /// outage then does not reach hosts already known. An address that cannot be connected to is forgotten at once.
    public var staleAddressLifetime: Duration = .seconds(600)

    /// The most name lookups that run at the same time, each on a thread of its own; at least 1, default 16. A lookup
    /// that never returns keeps its thread.
    public var maxConcurrentLookups = 16

    /// A configuration with every default.
    public init() {}

    /// The first unusable value, in words; nil if the configuration can be used.
    var fault: String? {
        let positive = [
            ("maxConnectionsPerHost", maxConnectionsPerHost), ("maxTotalConnections", maxTotalConnections),
            ("maxWaitingRequests", maxWaitingRequests), ("maxResponseBytes", maxResponseBytes),
            ("maxConcurrentLookups", maxConcurrentLookups),
        ]
        if let (name, _) = positive.first(where: { $0.1 < 1 }) { return "\(name) must be at least 1" }
        if connectTimeout < .milliseconds(1) { return "connectTimeout must be at least 1 ms" }
        if idleConnectionLifetime < .zero { return "idleConnectionLifetime must not be negative" }
        if unacknowledgedDataLimit < .milliseconds(1) { return "unacknowledgedDataLimit must be at least 1 ms" }
        if addressLifetime < .zero || staleAddressLifetime < .zero { return "address lifetimes must not be negative" }
        if userAgent.utf8.contains(where: { $0 < 0x20 || $0 > 0x7E }) { return "userAgent must be printable ASCII" }
        return nil
    }
}
