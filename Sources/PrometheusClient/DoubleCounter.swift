/// A quantity that only grows and is not counted in whole numbers, such as seconds spent.
///
/// Any thread may call any function at any time; nothing waits and nothing is allocated.
public final class DoubleCounter: Sendable {
    private let total = AtomicDouble()
    private let rejected: RejectedUpdates

    init(rejected: RejectedUpdates) {
        self.rejected = rejected
    }

    /// Adds `amount`. A negative, infinite or NaN amount is refused and counted in
    /// ``MetricRegistry/rejectedUpdates``.
    public func increment(by amount: Double) {
        guard amount >= 0, amount.isFinite else {
            rejected.record()
            return
        }
        total.grow(by: amount)
    }

    /// Adds a time in seconds. A negative time is refused like any negative amount.
    public func increment(by time: Duration) {
        increment(by: time.inSeconds)
    }

    /// Takes over the value of a monotone quantity kept elsewhere; a value below the present one changes nothing.
    ///
    /// Use either this or `increment(by:)` for a counter, not both. A negative, infinite or NaN value is refused.
    public func advance(to value: Double) {
        guard value >= 0, value.isFinite else {
            rejected.record()
            return
        }
        total.raise(to: value)
    }

    /// The present value. For tests: nothing should be decided by a metric.
    public var value: Double { total.value }
}

extension DoubleCounter: Instrument {
    func writeSamples(to page: inout SampleWriter) {
        page.write(value)
    }
}
