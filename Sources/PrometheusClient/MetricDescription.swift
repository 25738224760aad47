/// The type of a metric as it is printed in its `TYPE` line.
public enum MetricType: String, Hashable, Sendable {
    /// A value that only grows; its name ends in `_total`.
    case counter
    /// A value that goes up and down.
    case gauge
    /// Observations counted in buckets.
    case histogram
}

/// What is known about one registered metric; enough to write a reference of all metrics.
public struct MetricDescription: Hashable, Sendable {
    /// The registered name; a counter's ends in `_total`.
    public let name: String
    /// The type.
    public let type: MetricType
    /// The help text, unescaped.
    public let help: String
    /// The label names in the order they are printed, without a histogram's `le`.
    public let labelNames: [String]
    /// The label values of each child, in printing order; a metric without labels has one child with no values.
    public let labelValues: [[String]]
    /// A histogram's bounds without `+Inf`; empty for other types.
    public let bucketBounds: [Double]

    /// How many series Prometheus stores for this metric.
    public var seriesCount: Int {
        // Each bound, and `+Inf`, `_sum` and `_count`.
        type == .histogram ? labelValues.count * (bucketBounds.count + 3) : labelValues.count
    }

    func with(labelValues: [[String]]) -> MetricDescription {
        MetricDescription(
            name: name,
            type: type,
            help: help,
            labelNames: labelNames,
            labelValues: labelValues,
            bucketBounds: bucketBounds
        )
    }
}
