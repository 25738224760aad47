/// A metric with one label: one child for each case, all present from the start.
///
/// Any thread may use it at any time; nothing waits and nothing is allocated.
public struct LabeledMetric<Label: MetricLabel, Child: AnyObject & Sendable>: Sendable {
    @usableFromInline let index: LabelIndex<Label>
    @usableFromInline let children: [Child]
    @usableFromInline let sink: Child
    @usableFromInline let rejected: RejectedUpdates

    /// `children` are in the order of `index.cases`; `sink` is a child that is never printed.
    init(index: LabelIndex<Label>, children: [Child], sink: Child, rejected: RejectedUpdates) {
        self.index = index
        self.children = children
        self.sink = sink
        self.rejected = rejected
    }

    /// The child for `label`; keeping it saves the search.
    ///
    /// A case that a hand-written `allCases` leaves out yields a child that is not printed, and is counted in
    /// ``MetricRegistry/rejectedUpdates``.
    @inlinable
    public subscript(label: Label) -> Child {
        guard let position = index.position(of: label) else {
            rejected.record()
            return sink
        }
        return children[position]
    }
}

/// Counters with one label.
public typealias CounterFamily<Label: MetricLabel> = LabeledMetric<Label, Counter>
/// Counters of fractional quantities with one label.
public typealias DoubleCounterFamily<Label: MetricLabel> = LabeledMetric<Label, DoubleCounter>
/// Gauges with one label.
public typealias GaugeFamily<Label: MetricLabel> = LabeledMetric<Label, Gauge>
/// Histograms with one label.
public typealias HistogramFamily<Label: MetricLabel> = LabeledMetric<Label, Histogram>

extension LabeledMetric where Child == Counter {
    /// Adds `amount` to the child for `label`; see ``Counter/increment(by:)``.
    @inlinable
    public func increment(_ label: Label, by amount: Int = 1) {
        self[label].increment(by: amount)
    }
}

extension LabeledMetric where Child == DoubleCounter {
    /// Adds `amount` to the child for `label`; see `DoubleCounter.increment(by:)`.
    @inlinable
    public func increment(_ label: Label, by amount: Double) {
        self[label].increment(by: amount)
    }

    /// Adds a time in seconds to the child for `label`.
    @inlinable
    public func increment(_ label: Label, by time: Duration) {
        self[label].increment(by: time)
    }
}

extension LabeledMetric where Child == Gauge {
    /// Sets the child for `label`.
    @inlinable
    public func set(_ label: Label, to value: Double) {
        self[label].set(value)
    }

    /// Sets the child for `label` to a whole number.
    @inlinable
    public func set(_ label: Label, to value: Int) {
        self[label].set(value)
    }

    /// Sets the child for `label` to 1 and all others to 0, for a state of which exactly one holds.
    ///
    /// A page made meanwhile may show two states or none; set states in a collector where that matters.
    @inlinable
    public func setOnly(_ label: Label) {
        for other in index.cases { self[other].set(other == label) }
    }
}

extension LabeledMetric where Child == Histogram {
    /// Records one value in the child for `label`; see `Histogram.observe(_:)`.
    @inlinable
    public func observe(_ label: Label, _ value: Double) {
        self[label].observe(value)
    }

    /// Records a time in seconds in the child for `label`.
    @inlinable
    public func observe(_ label: Label, _ time: Duration) {
        self[label].observe(time)
    }
}
