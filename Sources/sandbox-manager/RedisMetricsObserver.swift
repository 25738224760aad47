internal import ManagerMetrics
internal import RedisClient
internal import SandboxCore

/// Counts what the Redis client does in the catalogue of metrics. The labels are the client's raw values.
struct RedisMetricsObserver: RedisObserver {
    private let metrics: ManagerMetrics

    init(_ metrics: ManagerMetrics) { self.metrics = metrics }

    func commandEnded(_ kind: RedisCommandKind, outcome: RedisOutcome, after duration: Duration) {
        metrics.redisCommandEnded(
            RedisCommandLabel(rawValue: kind.rawValue) ?? .other,
            RedisResultLabel(rawValue: outcome.rawValue) ?? .other,
            took: duration
        )
    }

    func commandRetried(because outcome: RedisOutcome) {
        // The failures that have no reason of their own, a replica's and a broken protocol, end the connection.
        metrics.retried(.store, because: RetryReason(rawValue: outcome.rawValue) ?? .reset)
    }

    func retryFailed() { metrics.retriesExhausted(.store) }

    func reconnectEnded(succeeded: Bool) { metrics.redisReconnected(succeeded: succeeded) }

    func connectionChanged(from old: RedisConnectionState, to new: RedisConnectionState) {
        // A closed connection is none, and has no label.
        metrics.redisConnectionChanged(
            from: RedisConnectionLabel(rawValue: old.rawValue),
            to: RedisConnectionLabel(rawValue: new.rawValue)
        )
    }
}
