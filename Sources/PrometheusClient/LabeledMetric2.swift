/// A metric with two labels: one child for each pair that can occur, all present from the start.
///
/// Any thread may use it at any time; nothing waits and nothing is allocated.
public struct LabeledMetric2<First: MetricLabel, Second: MetricLabel, Child: AnyObject & Sendable>: Sendable {
    @usableFromInline let firstIndex: LabelIndex<First>
    @usableFromInline let secondIndex: LabelIndex<Second>
    /// Row by row, one row for each case of the first label; nil for a pair without a child.
    @usableFromInline let children: [Child?]
    @usableFromInline let fallback: Child?
    @usableFromInline let sink: Child
    @usableFromInline let rejected: RejectedUpdates

    /// `sink` is a child that is never printed.
    init(
        firstIndex: LabelIndex<First>,
        secondIndex: LabelIndex<Second>,
        children: [Child?],
        fallback: Child?,
        sink: Child,
        rejected: RejectedUpdates
    ) {
        self.firstIndex = firstIndex
        self.secondIndex = secondIndex
        self.children = children
        self.fallback = fallback
        self.sink = sink
        self.rejected = rejected
    }

    /// The child for a pair of labels; keeping it saves the search.
    ///
    /// A pair without a child yields the fallback's child if the metric has a fallback. Otherwise it yields a child
    /// that is not printed, and is counted in ``MetricRegistry/rejectedUpdates``.
    @inlinable
    public subscript(first: First, second: Second) -> Child {
        if let row = firstIndex.position(of: first), let column = secondIndex.position(of: second),
            let child = children[row * secondIndex.cases.count + column]
        {
            return child
        }
        if let fallback { return fallback }
        rejected.record()
        return sink
    }
}

/// Counters with two labels.
public typealias CounterFamily2<First: MetricLabel, Second: MetricLabel> = LabeledMetric2<First, Second, Counter>
/// Gauges with two labels.
public typealias GaugeFamily2<First: MetricLabel, Second: MetricLabel> = LabeledMetric2<First, Second, Gauge>

extension LabeledMetric2 where Child == Counter {
    /// Adds `amount` to the child for the pair; see ``Counter/increment(by:)``.
    @inlinable
    public func increment(_ first: First, _ second: Second, by amount: Int = 1) {
        self[first, second].increment(by: amount)
    }
}

extension LabeledMetric2 where Child == Gauge {
    /// Sets the child for the pair.
    @inlinable
    public func set(_ first: First, _ second: Second, to value: Double) {
        self[first, second].set(value)
    }

    /// Sets the child for the pair to a whole number.
    @inlinable
    public func set(_ first: First, _ second: Second, to value: Int) {
        self[first, second].set(value)
    }

    /// Sets the child for the pair to 1 and `first`'s other children to 0, for a state of which exactly one holds.
    ///
    /// A pair without a child changes nothing and is counted in ``MetricRegistry/rejectedUpdates``. A page made
    /// meanwhile may show two states or none; set states in a collector where that matters.
    @inlinable
    public func setOnly(_ first: First, _ second: Second) {
        let width = secondIndex.cases.count
        guard let row = firstIndex.position(of: first), let column = secondIndex.position(of: second),
            children[row * width + column] != nil
        else {
            rejected.record()
            return
        }
        for other in 0..<width { children[row * width + other]?.set(other == column) }
    }
}
