/// A family whose children come and go while the program runs, for adapters of interfaces whose labels are open.
///
/// Any thread may use it at any time. It sets no bound to the number of children: whoever adds them does. An empty
/// family is not printed, and its name stays taken.
package final class OpenFamily<Child: Sendable & AnyObject>: Sendable {
    /// The registered name.
    package let name: String
    /// In printing order.
    package let labelNames: [String]
    /// How many series each child is: more than one for a histogram.
    package let seriesPerChild: Int

    private let addChild: @Sendable ([String]) throws(MetricError) -> Child
    private let removeChild: @Sendable (Child) -> Void

    init(_ series: OpenSeries, _ make: @escaping @Sendable () -> Child) where Child: Instrument {
        name = series.shape.name
        labelNames = series.shape.labelNames
        seriesPerChild = series.shape.with(labelValues: [[]]).seriesCount
        addChild = { labelValues throws(MetricError) in try series.add(labelValues, make) }
        removeChild = { series.remove($0) }
    }

    /// Adds a child at 0, or yields the one that has these label values already.
    ///
    /// - Parameter labelValues: One for each of ``labelNames``, none of them empty.
    /// - Returns: The child, which is on every page from now on.
    /// - Throws: What is wrong with the label values; then nothing was added.
    package func add(_ labelValues: [String]) throws(MetricError) -> Child {
        try addChild(labelValues)
    }

    /// Takes a child off the pages. It may still be updated, which nobody sees.
    package func remove(_ child: Child) {
        removeChild(child)
    }
}

extension MetricRegistry {
    /// Registers a family of counters that take whole and fractional amounts, without children so far.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`.
    ///   - help: One sentence on what is counted.
    ///   - labelNames: In printing order.
    /// - Returns: The empty family.
    /// - Throws: What is wrong with the name, help or label names; then nothing was registered.
    package func openCounter(
        _ name: String,
        help: String,
        labelNames: [String]
    ) throws(MetricError) -> OpenFamily<ResettableCounter> {
        let series = try registerOpen(name, type: .counter, help: help, labelNames: labelNames)
        return OpenFamily(series) { [rejected] in ResettableCounter(rejected: rejected) }
    }

    /// Registers a family of gauges without children so far.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    ///   - labelNames: In printing order.
    /// - Returns: The empty family.
    /// - Throws: What is wrong with the name, help or label names; then nothing was registered.
    package func openGauge(
        _ name: String,
        help: String,
        labelNames: [String]
    ) throws(MetricError) -> OpenFamily<Gauge> {
        OpenFamily(try registerOpen(name, type: .gauge, help: help, labelNames: labelNames)) { Gauge() }
    }

    /// Registers a family of histograms without children so far.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    ///   - labelNames: In printing order, without `le`.
    ///   - buckets: As for ``histogram(_:help:buckets:)``.
    /// - Returns: The empty family.
    /// - Throws: What is wrong with the name, help, label names or buckets; then nothing was registered.
    package func openHistogram(
        _ name: String,
        help: String,
        labelNames: [String],
        buckets: [Double]
    ) throws(MetricError) -> OpenFamily<Histogram> {
        let series = try registerOpen(name, type: .histogram, help: help, labelNames: labelNames, bounds: buckets)
        return OpenFamily(series) { [rejected] in Histogram(bounds: buckets, rejected: rejected) }
    }
}
