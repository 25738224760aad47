/// A metric whose children are an explicit list of label rows, addressed by their position in it.
///
/// For three and more labels of which only some combinations exist, and for values known when the process starts.
/// Any thread may use it at any time; nothing waits, and addressing by row allocates nothing.
public struct MetricTable<Child: AnyObject & Sendable>: Sendable {
    /// The label values of each row, as given.
    public let rows: [[String]]

    @usableFromInline let children: [Child]
    @usableFromInline let positions: [[String]: Int]
    @usableFromInline let sink: Child
    @usableFromInline let rejected: RejectedUpdates

    /// `children` are in the order of `rows`; `sink` is a child that is never printed.
    init(rows: [[String]], children: [Child], sink: Child, rejected: RejectedUpdates) {
        self.rows = rows
        self.children = children
        self.sink = sink
        self.rejected = rejected
        positions = Dictionary(rows.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The position of the row with these label values, or nil. Slow: look up once and keep the position.
    @inlinable
    public func row(for labelValues: [String]) -> Int? {
        positions[labelValues]
    }

    /// The child of a row. A position outside the list yields a child that is not printed, and is counted in
    /// ``MetricRegistry/rejectedUpdates``.
    @inlinable
    public subscript(row row: Int) -> Child {
        guard children.indices.contains(row) else {
            rejected.record()
            return sink
        }
        return children[row]
    }
}

/// Counters with any number of labels.
public typealias CounterTable = MetricTable<Counter>
/// Gauges with any number of labels.
public typealias GaugeTable = MetricTable<Gauge>

extension MetricTable where Child == Counter {
    /// Adds `amount` to the child of a row; see ``Counter/increment(by:)``.
    @inlinable
    public func increment(row: Int, by amount: Int = 1) {
        self[row: row].increment(by: amount)
    }
}

extension MetricTable where Child == Gauge {
    /// Sets the child of a row.
    @inlinable
    public func set(row: Int, to value: Double) {
        self[row: row].set(value)
    }

    /// Sets the child of a row to a whole number.
    @inlinable
    public func set(row: Int, to value: Int) {
        self[row: row].set(value)
    }
}
