internal import PrometheusClient
internal import SandboxCore

/// What the shared store's connection does.
struct RedisMetrics {
    let commands: CounterFamily2<RedisCommandLabel, RedisResultLabel>
    let duration: HistogramFamily<RedisCommandLabel>
    let connections: GaugeFamily<RedisConnectionLabel>
    let reconnects: CounterFamily<RedisReconnectResult>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        commands = try registry.counter(
            "\(prefix)redis_commands_total",
            help: "Commands sent to Redis by result, every attempt counted.",
            by: RedisCommandLabel.self,
            RedisResultLabel.self
        )
        duration = try registry.histogram(
            "\(prefix)redis_command_duration_seconds",
            help: "Time that commands took, failures included.",
            by: RedisCommandLabel.self,
            buckets: Buckets.redis
        )
        connections = try registry.gauge(
            "\(prefix)redis_connections",
            help: "Connections to Redis that are ready or being made; none without Redis.",
            by: RedisConnectionLabel.self
        )
        reconnects = try registry.counter(
            "\(prefix)redis_reconnects_total",
            help: "Attempts to connect to Redis, a first one that succeeds left out.",
            by: RedisReconnectResult.self
        )
    }

    func ended(_ command: RedisCommandLabel, _ result: RedisResultLabel, took: Duration) {
        commands.increment(command, result)
        duration.observe(command, took)
    }

    func connectionChanged(from old: RedisConnectionLabel?, to new: RedisConnectionLabel?) {
        if let new { connections[new].increment() }
        if let old { connections[old].decrement() }
    }
}
