/// A host and a port.
public struct RedisAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or a numeric address, IPv6 without brackets. Names are looked up again for every connection.
    public var host: String
    /// The port, never 0.
    public var port: UInt16

    /// Names a host and a port; neither is checked here.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `host:port`, with brackets around an IPv6 address.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// Where Redis is and how to log in.
public struct RedisEndpoint: Sendable, Hashable {
    /// How Redis is reached.
    public enum Target: Sendable, Hashable {
        /// One server.
        case server(RedisAddress)
        /// A socket of this machine, by path; at most 107 bytes.
        case socket(path: String)
        /// Whoever the sentinels name as the master. Sentinels are asked in order, without a password.
        case sentinel(nodes: [RedisAddress], master: String)
    }

    /// How Redis is reached.
    public var target: Target
    /// The user of AUTH; nil is Redis' default user. Without a password nobody logs in.
    public var user: String?
    /// The password of AUTH.
    public var password: RedisPassword?
    /// The database of SELECT.
    public var database: Int

    /// Describes an endpoint; nothing is checked here.
    public init(target: Target, user: String? = nil, password: RedisPassword? = nil, database: Int = 0) {
        self.target = target
        self.user = user
        self.password = password
        self.database = database
    }
}

extension RedisEndpoint: CustomStringConvertible, CustomDebugStringConvertible {
    /// A URL without user and password.
    public var description: String {
        switch target {
        case .server(let address): "redis://\(address)/\(database)"
        case .socket(let path): "unix://\(path)?db=\(database)"
        case .sentinel(let nodes, let master):
            "redis+sentinel://\(nodes.map(\.description).joined(separator: ","))/\(master)/\(database)"
        }
    }

    /// The same as `description`.
    public var debugDescription: String { description }
}
