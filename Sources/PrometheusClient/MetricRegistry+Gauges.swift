extension MetricRegistry {
    /// Registers a gauge without labels.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    /// - Returns: The gauge, at 0.
    /// - Throws: What is wrong with the name or help; then nothing was registered.
    public func gauge(_ name: String, help: String) throws(MetricError) -> Gauge {
        try single(name, type: .gauge, help: help, makeChild: Gauge.init)
    }

    /// Registers a gauge with one label.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    ///   - label: The label's type; each of its cases has a child from the start.
    /// - Returns: The gauges, at 0.
    /// - Throws: What is wrong with the name, help or label; then nothing was registered.
    public func gauge<Label>(
        _ name: String,
        help: String,
        by label: Label.Type
    ) throws(MetricError) -> GaugeFamily<Label> {
        try labeled(name, type: .gauge, help: help, makeChild: Gauge.init)
    }

    /// Registers a gauge with two labels.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    ///   - first: The type of the label printed first.
    ///   - second: The type of the label printed second.
    ///   - pairs: The pairs that have a child; nil for all.
    ///   - fallback: One of the pairs, which takes the updates of pairs without a child; nil to refuse those.
    /// - Returns: The gauges, at 0.
    /// - Throws: What is wrong with the name, help or labels; then nothing was registered.
    public func gauge<First, Second>(
        _ name: String,
        help: String,
        by first: First.Type,
        _ second: Second.Type,
        pairs: [(First, Second)]? = nil,
        fallback: (First, Second)? = nil
    ) throws(MetricError) -> GaugeFamily2<First, Second> {
        try labeled2(name, type: .gauge, help: help, pairs: pairs, fallback: fallback, makeChild: Gauge.init)
    }

    /// Registers a gauge with any number of labels and an explicit list of children, such as a build's versions.
    ///
    /// - Parameters:
    ///   - name: Does not end in `_total`, `_bucket`, `_sum` or `_count`.
    ///   - help: One sentence on what is measured.
    ///   - labelNames: In printing order.
    ///   - rows: The label values of each child.
    /// - Returns: The gauges, at 0, addressed by their position in `rows`.
    /// - Throws: What is wrong with the name, help or labels; then nothing was registered.
    public func gaugeTable(
        _ name: String,
        help: String,
        labelNames: [String],
        rows: [[String]]
    ) throws(MetricError) -> GaugeTable {
        try table(name, type: .gauge, help: help, labelNames: labelNames, rows: rows, makeChild: Gauge.init)
    }
}
