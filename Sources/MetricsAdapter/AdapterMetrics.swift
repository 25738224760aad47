internal import PrometheusClient

/// What was wrong with a metric that was asked for.
enum ConflictReason: String, MetricLabel {
    /// Another label became the same name; both are one metric.
    case merged
    /// Its label names are not those of the metric's first use.
    case labels
    /// A metric of another type has the name; it got another name.
    case renamed
    /// That one is taken too; it is not on the page.
    case refused

    static var labelName: String { "reason" }
}

/// Which bound a new series ran into.
enum OverflowBound: String, MetricLabel {
    case metric, total

    static var labelName: String { "bound" }
}

/// What the adapter tells about itself.
struct AdapterMetrics: Sendable {
    let conflicts: CounterFamily<ConflictReason>
    let overflowed: CounterFamily<OverflowBound>
    let series: Gauge

    init(_ registry: MetricRegistry, prefix: String, maximumSeries: Int) throws(MetricError) {
        let prefix = MetricName.identifier(prefix + "metrics_adapter_", maximumLength: 100)
        conflicts = try registry.counter(
            prefix + "conflicts_total",
            help: "Metrics that libraries asked for and that did not fit to an earlier one.",
            by: ConflictReason.self
        )
        overflowed = try registry.counter(
            prefix + "overflowed_total",
            help: "Metrics that libraries asked for beyond a bound; their values are under the label value other.",
            by: OverflowBound.self
        )
        series = try registry.gauge(prefix + "series", help: "Series of libraries' metrics.")
        try registry.gauge(prefix + "series_limit", help: "How many there may be.").set(maximumSeries)
    }
}
