import Synchronization

/// One child of a family: something that holds a value and can append its samples to a page.
protocol Instrument: AnyObject, Sendable {
    /// The line beginnings (name, labels and the space before the value), one for each sample, in printing order.
    func samplePrefixes(name: String, labels: LabelSet) -> [[UInt8]]

    /// Writes one value for each line beginning that `samplePrefixes(name:labels:)` has made, in that order.
    func writeSamples(to page: inout SampleWriter)
}

extension Instrument {
    func samplePrefixes(name: String, labels: LabelSet) -> [[UInt8]] {
        [labels.samplePrefix(name: name)]
    }
}

/// Counts the updates that were refused, shared by everything in one registry.
///
/// A metric must never bring the process down, so a wrong update is dropped; the count makes it visible.
@usableFromInline
final class RejectedUpdates: Sendable {
    private let count = Atomic<UInt64>(0)

    var value: UInt64 { count.load(ordering: .relaxed) }

    @usableFromInline
    func record() {
        count.add(1, ordering: .relaxed)
    }
}
