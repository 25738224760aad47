extension MetricRegistry {
    /// Registers a histogram without labels.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`; usually ends in its unit.
    ///   - help: One sentence on what is measured.
    ///   - buckets: The upper bounds in the base unit (seconds): ascending, finite, not negative, at most
    ///     ``Histogram/maximumBounds``; `+Inf` is added.
    /// - Returns: The histogram, empty.
    /// - Throws: What is wrong with the name, help or buckets; then nothing was registered.
    public func histogram(_ name: String, help: String, buckets: [Double]) throws(MetricError) -> Histogram {
        let make = { [rejected] in Histogram(bounds: buckets, rejected: rejected) }
        return try single(name, type: .histogram, help: help, bounds: buckets, makeChild: make)
    }

    /// Registers a histogram with one label.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`; usually ends in its unit.
    ///   - help: One sentence on what is measured.
    ///   - label: The label's type; each of its cases has a child from the start.
    ///   - buckets: The upper bounds in the base unit (seconds): ascending, finite, not negative, at most
    ///     ``Histogram/maximumBounds``; `+Inf` is added.
    /// - Returns: The histograms, empty.
    /// - Throws: What is wrong with the name, help, label or buckets; then nothing was registered.
    public func histogram<Label>(
        _ name: String,
        help: String,
        by label: Label.Type,
        buckets: [Double]
    ) throws(MetricError) -> HistogramFamily<Label> {
        let make = { [rejected] in Histogram(bounds: buckets, rejected: rejected) }
        return try labeled(name, type: .histogram, help: help, bounds: buckets, makeChild: make)
    }
}
