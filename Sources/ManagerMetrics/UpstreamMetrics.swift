internal import PrometheusClient
internal import SandboxCore

/// How the provider does, and what its failures cost.
struct UpstreamMetrics {
    let requests: CounterFamily2<CountedProviderOperation, ProviderResult>
    let duration: HistogramFamily<CountedProviderOperation>
    let retries: CounterFamily2<RetriedOperation, RetryReason>
    let exhausted: CounterFamily<RetriedOperation>
    let retryBudget: Gauge
    let rateLimited: CounterFamily<RateLimitScope>
    let breakerState: GaugeFamily2<Upstream, BreakerState>
    let breakerTransitions: CounterFamily2<Upstream, BreakerTransition>
    let breakerRejections: CounterFamily<Upstream>
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
            help: "Operations that failed after all their retries, or that the budget allowed no retry.",
            by: RetriedOperation.self
        )
        retryBudget = try registry.gauge(
            "\(prefix)retry_budget",
            help: "Retries of creates that may be made at this moment; at 0 failures are final at once."
        )
        rateLimited = try registry.counter(
            "\(prefix)rate_limited_total",
            help:
                "Creations refused for their rate: by the limit of the user, or held back because the provider asked.",
            by: RateLimitScope.self
        )
        breakerState = try registry.gauge(
            "\(prefix)breaker_state",
            help: "1 for the state of the breaker before an upstream.",
            by: Upstream.self,
            BreakerState.self
        )
        breakerTransitions = try registry.counter(
            "\(prefix)breaker_transitions_total",
            help: "Changes of a breaker, by the state it changed to.",
            by: Upstream.self,
            BreakerTransition.self
        )
        breakerRejections = try registry.counter(
            "\(prefix)breaker_rejections_total",
            help: "Calls that were refused because a breaker was open.",
            by: Upstream.self
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

    func collect(_ gauges: ManagerGauges) {
        retryBudget.set(gauges.retryBudget)
        breakerState.setOnly(.provider, gauges.providerBreaker)
        breakerState.setOnly(.store, gauges.storeBreaker)
    }
}
