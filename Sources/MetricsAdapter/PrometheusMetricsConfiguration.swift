/// Names, bounds and buckets of a ``PrometheusMetricsFactory``.
public struct PrometheusMetricsConfiguration: Sendable {
    /// Put in front of every label before it is made a name, such as `shop.`; the adapter's own metrics have it too.
    ///
    /// Empty by default. It keeps the names of libraries apart from those that the application registers itself.
    public var prefix = ""

    /// How many series all metrics together may have; a histogram has one for each bucket and three more. 1,000 by
    /// default. The adapter's own 8 are not counted.
    ///
    /// A metric with labels sets room aside for its `other` from the start, so that the bound holds always.
    public var maximumSeries = 1000

    /// How many combinations of label values one metric may have; `other` comes on top. 100 by default.
    public var maximumChildrenPerMetric = 100

    /// Upper bounds of the buckets of timers, in seconds; 0.5 ms to a minute by default.
    public var timerBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// Upper bounds of the buckets of aggregating recorders, in whatever they record; 1 to 1,000,000 by default.
    public var recorderBuckets: [Double] = [
        1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 100_000, 1_000_000,
    ]

    /// Other buckets for single timers (in seconds) and recorders, by their label in swift-metrics, without the prefix.
    public var buckets: [String: [Double]] = [:]

    /// The defaults.
    public init() {}
}
