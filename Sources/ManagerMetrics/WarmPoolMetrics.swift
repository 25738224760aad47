internal import PrometheusClient
internal import SandboxCore

/// Whether sandboxes are there before they are wanted.
struct WarmPoolMetrics {
    let claims: CounterFamily<WarmPoolClaim>
    private let ready: Gauge
    private let target: Gauge
    private let pending: Gauge

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        claims = try registry.counter(
            "\(prefix)warm_pool_claims_total",
            help: "Times that the warm pool was asked for a sandbox, by what it gave.",
            by: WarmPoolClaim.self
        )
        ready = try registry.gauge("\(prefix)warm_pool_ready", help: "Sandboxes of the warm pool that may be claimed.")
        target = try registry.gauge(
            "\(prefix)warm_pool_target",
            help: "Sandboxes the warm pool should have; 0 without one."
        )
        pending = try registry.gauge("\(prefix)warm_pool_pending", help: "Sandboxes of the warm pool being made.")
    }

    func collect(_ gauges: WarmPoolGauges) {
        ready.set(gauges.ready)
        target.set(gauges.target)
        pending.set(gauges.pending)
    }
}
