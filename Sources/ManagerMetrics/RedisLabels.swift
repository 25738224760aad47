public import PrometheusClient

/// The classes that Redis commands are counted in.
public enum RedisCommandLabel: String, MetricLabel {
    /// One of the commands that the store is made of.
    case get, set, evalsha, ping
    /// Everything else.
    case other
    /// `command`.
    public static var labelName: String { "command" }
}

/// How an attempt of a Redis command ended.
public enum RedisResultLabel: String, MetricLabel {
    /// A value.
    case ok
    /// No value, which is no failure.
    case null = "nil"
    /// No reply in time.
    case timedOut = "timed_out"
    /// No connection, or an ended one.
    case refused, reset
    /// An error that Redis replied.
    case auth, loading, readonly
    /// The reply was not Redis' protocol.
    case protocolError = "protocol"
    /// Every other failure.
    case other
    /// `result`.
    public static var labelName: String { "result" }
}

/// What a connection to Redis that exists can be.
public enum RedisConnectionLabel: String, MetricLabel {
    /// Ready.
    case connected
    /// Being made, or waiting for the next attempt.
    case connecting
    /// `state`.
    public static var labelName: String { "state" }
}

/// How an attempt to connect to Redis ended.
enum RedisReconnectResult: String, MetricLabel {
    case ok, failed
    static var labelName: String { "result" }
}
