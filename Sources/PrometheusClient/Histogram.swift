internal import CShims
import Synchronization

/// A classic histogram: how many observations were at most each of a fixed list of bounds, and their sum.
///
/// Any thread may observe at any time; nothing waits and nothing is allocated. A page made meanwhile is consistent in
/// itself: the count is the sum of the buckets as they were read, so the `+Inf` bucket always equals `_count`. The sum
/// may be ahead of or behind the count by the observations in progress.
public final class Histogram: Sendable {
    /// How many bounds a histogram can have, not counting `+Inf`.
    public static let maximumBounds = 31

    /// The upper bounds of the buckets, ascending, each inclusive; `+Inf` follows the last and is not listed.
    public let bounds: [Double]

    /// What the threads of some processors have observed. Fixed sizes keep all cells inside the object.
    private struct Stripe: ~Copyable, Sendable {
        /// Observations of each bucket alone (not cumulative); the one after the last bound is `+Inf`.
        let buckets = InlineArray<32, Atomic<UInt64>> { _ in Atomic(0) }
        let total = AtomicDouble()
        /// Keeps the next stripe's cells off this one's cache line.
        private let padding = InlineArray<7, UInt64>(repeating: 0)
    }

    // Two threads that observe at once would take the same cache lines from each other: 12 to 90 ns an observation were
    // seen with one set of cells, where one thread alone needs 6.
    private static let stripeCount = 4
    private let stripes = InlineArray<4, Stripe> { _ in Stripe() }
    private let rejected: RejectedUpdates

    /// `bounds` were checked by the registry; more than ``maximumBounds`` would be a bug in it.
    init(bounds: [Double], rejected: RejectedUpdates) {
        precondition(bounds.count <= Self.maximumBounds, "\(bounds.count) bounds in a histogram")
        self.bounds = bounds
        self.rejected = rejected
    }

    /// Records one value. A negative, infinite or NaN value is refused and counted in
    /// ``MetricRegistry/rejectedUpdates``: it would make the sum fall or useless for good.
    public func observe(_ value: Double) {
        guard value >= 0, value.isFinite else {
            rejected.record()
            return
        }
        var position = 0
        while position < bounds.count, value > bounds[position] { position += 1 }
        // The processor may change the next moment: then another's stripe is used once, which is as right.
        let stripe = Int(truncatingIfNeeded: UInt32(bitPattern: cshims_current_cpu())) % Self.stripeCount
        stripes[stripe].total.grow(by: value)
        stripes[stripe].buckets[position].wrappingAdd(1, ordering: .relaxed)
    }

    /// Records a time in seconds. A negative time is refused like any negative value.
    public func observe(_ time: Duration) {
        observe(time.inSeconds)
    }

    /// The number of observations. For tests: nothing should be decided by a metric.
    public var count: UInt64 { bucketCounts.reduce(0, &+) }

    /// The sum of all observed values. For tests.
    public var sum: Double { stripes.indices.reduce(0) { $0 + stripes[$1].total.value } }

    /// How many observations fell in each bucket alone, the last being `+Inf`. For tests.
    public var bucketCounts: [UInt64] {
        (0...bounds.count).map(count(ofBucket:))
    }

    private func count(ofBucket position: Int) -> UInt64 {
        stripes.indices.reduce(0) { $0 &+ stripes[$1].buckets[position].load(ordering: .relaxed) }
    }
}

extension Histogram: Instrument {
    func samplePrefixes(name: String, labels: LabelSet) -> [[UInt8]] {
        let bucketName = name + "_bucket"
        let buckets = (bounds.map(\.description) + ["+Inf"]).map {
            labels.appending(name: "le", value: $0).samplePrefix(name: bucketName)
        }
        return buckets + [labels.samplePrefix(name: name + "_sum"), labels.samplePrefix(name: name + "_count")]
    }

    func writeSamples(to page: inout SampleWriter) {
        var cumulative: UInt64 = 0
        for position in 0...bounds.count {
            cumulative &+= count(ofBucket: position)
            page.write(cumulative)
        }
        page.write(sum)
        page.write(cumulative)
    }
}

extension Histogram {
    /// Says why a histogram can't have these bounds, if it can't; `name` goes into the error.
    package static func check(bounds: [Double], of name: String) throws(MetricError) {
        try NameRules.checkBuckets(name: name, bounds: bounds)
    }
}
