public import Synchronization

/// A whole number that only grows, such as a number of requests.
///
/// Any thread may call any function at any time; nothing waits and nothing is allocated.
public final class Counter: Sendable {
    @usableFromInline let count = Atomic<UInt64>(0)
    @usableFromInline let rejected: RejectedUpdates

    init(rejected: RejectedUpdates) {
        self.rejected = rejected
    }

    /// Adds `amount`. A negative amount is refused and counted in ``MetricRegistry/rejectedUpdates``.
    @inlinable
    public func increment(by amount: Int = 1) {
        guard amount >= 0 else {
            rejected.record()
            return
        }
        count.wrappingAdd(UInt64(truncatingIfNeeded: amount), ordering: .relaxed)
    }

    /// Takes over the value of a monotone count kept elsewhere; a value below the present one changes nothing.
    ///
    /// Use either this or ``increment(by:)`` for a counter, not both.
    public func advance(to total: UInt64) {
        // Not `Atomic.max`: up to Swift 6.3 it compares unsigned integers as if they were signed (swift issue 91176).
        var current = count.load(ordering: .relaxed)
        while current < total {
            let (exchanged, original) = count.weakCompareExchange(
                expected: current,
                desired: total,
                ordering: .relaxed
            )
            if exchanged { return }
            current = original
        }
    }

    /// The present value. For tests: nothing should be decided by a metric.
    public var value: UInt64 { count.load(ordering: .relaxed) }
}

extension Counter: Instrument {
    func writeSamples(to page: inout SampleWriter) {
        page.write(value)
    }
}
