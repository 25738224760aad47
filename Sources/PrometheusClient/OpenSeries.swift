internal import Synchronization

/// The children of one open family, sorted as they are printed.
final class OpenSeries: Sendable {
    private struct Entry {
        let labelValues: [String]
        let instrument: any Instrument
        let series: MetricFamily.Series
    }

    /// The family without its label values.
    let shape: MetricDescription
    // Held for no longer than it takes to find a place or to copy a reference.
    private let entries = Mutex<[Entry]>([])

    init(_ shape: MetricDescription) {
        self.shape = shape
    }

    var sorted: [MetricFamily.Series] { entries.withLock { $0 }.map(\.series) }

    var description: MetricDescription { shape.with(labelValues: entries.withLock { $0 }.map(\.labelValues)) }

    /// Adds a child, or yields the one that has these label values already.
    func add<Child: Instrument>(_ labelValues: [String], _ make: () -> Child) throws(MetricError) -> Child {
        try NameRules.checkLabels(name: shape.name, labelNames: shape.labelNames, rows: [labelValues])
        let made = make()
        let series = MetricFamily.Series([made], labelValues: [labelValues], of: shape)
        return entries.withLock { entries in
            let position = Self.position(of: labelValues, in: entries)
            if position < entries.count, !Self.precedes(labelValues, entries[position].labelValues),
                let present = entries[position].instrument as? Child
            {
                return present
            }
            entries.insert(Entry(labelValues: labelValues, instrument: made, series: series), at: position)
            return made
        }
    }

    func remove(_ child: some Instrument) {
        entries.withLock { entries in entries.removeAll { $0.instrument === child } }
    }

    /// Of the first entry that does not precede `labelValues`.
    private static func position(of labelValues: [String], in entries: [Entry]) -> Int {
        var range = entries.startIndex..<entries.endIndex
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range =
                precedes(entries[middle].labelValues, labelValues)
                ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }

    private static func precedes(_ first: [String], _ second: [String]) -> Bool {
        let difference = zip(first, second).first { !$0.utf8.elementsEqual($1.utf8) }
        return difference.map { $0.precedesInBytes($1) } ?? false
    }
}
