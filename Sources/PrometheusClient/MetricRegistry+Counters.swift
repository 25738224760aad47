extension MetricRegistry {
    /// Registers a counter without labels.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`; OpenMetrics prints the family without it.
    ///   - help: One sentence on what is counted.
    /// - Returns: The counter, at 0.
    /// - Throws: What is wrong with the name or help; then nothing was registered.
    public func counter(_ name: String, help: String) throws(MetricError) -> Counter {
        let make = { [rejected] in Counter(rejected: rejected) }
        return try single(name, type: .counter, help: help, makeChild: make)
    }

    /// Registers a counter with one label.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`; OpenMetrics prints the family without it.
    ///   - help: One sentence on what is counted.
    ///   - label: The label's type; each of its cases has a child from the start.
    /// - Returns: The counters, at 0.
    /// - Throws: What is wrong with the name, help or label; then nothing was registered.
    public func counter<Label>(
        _ name: String,
        help: String,
        by label: Label.Type
    ) throws(MetricError) -> CounterFamily<Label> {
        let make = { [rejected] in Counter(rejected: rejected) }
        return try labeled(name, type: .counter, help: help, makeChild: make)
    }

    /// Registers a counter with two labels.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`; OpenMetrics prints the family without it.
    ///   - help: One sentence on what is counted.
    ///   - first: The type of the label printed first.
    ///   - second: The type of the label printed second.
    ///   - pairs: The pairs that have a child; nil for all.
    ///   - fallback: One of the pairs, which takes the updates of pairs without a child; nil to refuse those.
    /// - Returns: The counters, at 0.
    /// - Throws: What is wrong with the name, help or labels; then nothing was registered.
    public func counter<First, Second>(
        _ name: String,
        help: String,
        by first: First.Type,
        _ second: Second.Type,
        pairs: [(First, Second)]? = nil,
        fallback: (First, Second)? = nil
    ) throws(MetricError) -> CounterFamily2<First, Second> {
        let make = { [rejected] in Counter(rejected: rejected) }
        return try labeled2(name, type: .counter, help: help, pairs: pairs, fallback: fallback, makeChild: make)
    }

    /// Registers a counter with any number of labels and an explicit list of children.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`; OpenMetrics prints the family without it.
    ///   - help: One sentence on what is counted.
    ///   - labelNames: In printing order.
    ///   - rows: The label values of each child.
    /// - Returns: The counters, at 0, addressed by their position in `rows`.
    /// - Throws: What is wrong with the name, help or labels; then nothing was registered.
    public func counterTable(
        _ name: String,
        help: String,
        labelNames: [String],
        rows: [[String]]
    ) throws(MetricError) -> CounterTable {
        let make = { [rejected] in Counter(rejected: rejected) }
        return try table(name, type: .counter, help: help, labelNames: labelNames, rows: rows, makeChild: make)
    }

    /// Registers a counter of a fractional quantity without labels.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`, after the unit, such as `_seconds_total`.
    ///   - help: One sentence on what is added up.
    /// - Returns: The counter, at 0.
    /// - Throws: What is wrong with the name or help; then nothing was registered.
    public func doubleCounter(_ name: String, help: String) throws(MetricError) -> DoubleCounter {
        let make = { [rejected] in DoubleCounter(rejected: rejected) }
        return try single(name, type: .counter, help: help, makeChild: make)
    }

    /// Registers a counter of a fractional quantity with one label.
    ///
    /// - Parameters:
    ///   - name: Ends in `_total`, after the unit, such as `_seconds_total`.
    ///   - help: One sentence on what is added up.
    ///   - label: The label's type; each of its cases has a child from the start.
    /// - Returns: The counters, at 0.
    /// - Throws: What is wrong with the name, help or label; then nothing was registered.
    public func doubleCounter<Label>(
        _ name: String,
        help: String,
        by label: Label.Type
    ) throws(MetricError) -> DoubleCounterFamily<Label> {
        let make = { [rejected] in DoubleCounter(rejected: rejected) }
        return try labeled(name, type: .counter, help: help, makeChild: make)
    }
}
