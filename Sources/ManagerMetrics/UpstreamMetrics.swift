internal import PrometheusClient
internal import SandboxCore

/// How the provider does, and what its failures cost.
struct UpstreamMetrics {
    let requests: CounterFamily2<CountedProviderOperation, ProviderResult>
    let duration: HistogramFamily<CountedProviderOperation>
    let retries: CounterFamily2<RetriedOperation, RetryReason>
    let exhausted: CounterFamily<RetriedOperation>
    let checks: CounterFamily<HealthResult>
    let checkDuration: Histogram
    let checksSkipped: CounterFamily<HealthSkipReason>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        requests = try registry.counter(
            "\(prefix)provider_requests_total",
            help: "Calls of the provider by result, every attempt counted.",
            by: CountedProviderOperation.self,
            ProviderResult.self
        )
        duration = try registry.histogram(
            "\(prefix)provider_request_duration_seconds",
            help: "Time that calls of the provider took.",
            by: CountedProviderOperation.self,
            buckets: Buckets.calls
        )
        retries = try registry.counter(
            "\(prefix)retries_total",
            help: "Attempts after the first, by what made them necessary.",
            by: RetriedOperation.self,
            RetryReason.self
        )
        exhausted = try registry.counter(
            "\(prefix)retries_exhausted_total",
            help: "Operations that failed after all their retries.",
            by: RetriedOperation.self
        )
        checks = try registry.counter(
            "\(prefix)health_checks_total",
            help: "Probes of sandboxes by verdict.",
            by: HealthResult.self
        )
        checkDuration = try registry.histogram(
            "\(prefix)health_check_duration_seconds",
            help: "Time that probes took.",
            buckets: Buckets.calls
        )
        checksSkipped = try registry.counter(
            "\(prefix)health_checks_skipped_total",
            help: "Probes that were not needed or not possible.",
            by: HealthSkipReason.self
        )
    }
}
