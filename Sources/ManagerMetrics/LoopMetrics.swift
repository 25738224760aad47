internal import PrometheusClient
internal import SandboxCore

/// Whether the background loops live.
struct LoopMetrics {
    let runs: CounterFamily2<LoopName, LoopResult>
    let lastSuccess: GaugeFamily<LoopName>
    let interval: GaugeFamily<LoopName>
    let duration: HistogramFamily<LoopName>
    let items: CounterFamily2<LoopName, LoopItemOutcome>

    init(_ registry: MetricRegistry, _ prefix: String, startedAt: WallTime) throws(MetricError) {
        runs = try registry.counter(
            "\(prefix)loop_runs_total",
            help: "Rounds of background loops; one with nothing to do is ok.",
            by: LoopName.self,
            LoopResult.self
        )
        lastSuccess = try registry.gauge(
            "\(prefix)loop_last_success_timestamp_seconds",
            help: "When a round last succeeded; the process start before the first.",
            by: LoopName.self
        )
        interval = try registry.gauge(
            "\(prefix)loop_interval_seconds",
            help: "Pause between rounds; 0 for a loop that does not run.",
            by: LoopName.self
        )
        duration = try registry.histogram(
            "\(prefix)loop_duration_seconds",
            help: "Time that rounds took.",
            by: LoopName.self,
            buckets: Buckets.calls
        )
        items = try registry.counter(
            "\(prefix)loop_items_total",
            help: "Items that rounds dealt with.",
            by: LoopName.self,
            LoopItemOutcome.self
        )
        for loop in LoopName.allCases { lastSuccess.set(loop, to: startedAt.sinceEpoch.inSeconds) }
    }

    func ran(_ loop: LoopName, _ result: LoopResult, took: Duration, at wallTime: WallTime) {
        runs.increment(loop, result)
        duration.observe(loop, took)
        if result != .failed { lastSuccess.set(loop, to: wallTime.sinceEpoch.inSeconds) }
    }
}
