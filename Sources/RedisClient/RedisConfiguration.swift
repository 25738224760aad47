/// How a `RedisClient` behaves.
public struct RedisConfiguration: Sendable {
    /// Where Redis is and how to log in.
    public var endpoint: RedisEndpoint
    /// How long one attempt of a command may take unless the call says otherwise; also how long a reply may be owed
    /// before the connection is given up, and the limit for each reply while logging in.
    public var commandTimeout: Duration = .seconds(1)
    /// How long making a connection may take, login included; a name lookup that hangs may take longer, but delays
    /// nothing else than the next attempt.
    public var connectTimeout: Duration = .seconds(5)
    /// The pause before the one retry of a command; nil switches retries off.
    public var retryDelay: Duration? = .milliseconds(100)
    /// Commands that may wait for an answer at one time, over all callers; more are refused with `.queueFull`.
    public var maxPendingCommands: Int = 16_384
    /// The pause before the second attempt to connect; it doubles with each failure, and a random part of up to half
    /// is taken off so that replicas do not knock in step. The first attempt after a loss comes at once.
    public var initialReconnectDelay: Duration = .milliseconds(50)
    /// The longest pause between attempts to connect, which never end.
    public var maxReconnectDelay: Duration = .seconds(2)
    /// How often the sentinels, if there are any, are asked whether the master is still the same.
    public var masterCheckInterval: Duration = .seconds(2)
    /// A subscription that heard nothing for so long asks whether Redis is still there.
    public var subscriptionPingInterval: Duration = .seconds(2)
    /// Messages kept for a slow reader of a subscription; more are dropped, which the reader is told as a loss.
    public var subscriptionBuffer: Int = 8192

    /// What is said on every new connection for commands, after the login and before any command of a caller, so that
    /// nothing that waited for a connection meets a server that was not greeted. An error as a reply fails the attempt
    /// to connect, and another follows.
    public var greeting: [RedisCommand] = []

    /// Defaults for an endpoint.
    public init(endpoint: RedisEndpoint) {
        self.endpoint = endpoint
    }

    var hasSentinels: Bool {
        if case .sentinel = endpoint.target { true } else { false }
    }

    /// What makes the configuration unusable.
    var fault: String? {
        if commandTimeout <= .zero || connectTimeout <= .zero || subscriptionPingInterval <= .zero
            || masterCheckInterval <= .zero
        {
            return "timeouts and intervals must be positive"
        }
        if initialReconnectDelay <= .zero || maxReconnectDelay < initialReconnectDelay {
            return "the pauses between attempts to connect must be positive and in order"
        }
        if maxPendingCommands < 1 || subscriptionBuffer < 1 { return "limits must be at least 1" }
        if let fault = greeting.lazy.compactMap(\.fault).first { return "greeting: \(fault)" }
        if case .sentinel(let nodes, _) = endpoint.target, nodes.isEmpty { return "there is no sentinel" }
        return nil
    }
}
