internal import Synchronization

/// A counter that takes whole and fractional amounts and can be set back to 0, as swift-metrics has it.
///
/// Any thread may call any function at any time; nothing waits and nothing is allocated.
package final class ResettableCounter: Sendable {
    // Whole amounts are added here, where no digit is lost and adding is cheapest; all others, and those so large that
    // they might wrap it around, are added to `rest`.
    private let whole = Atomic<UInt64>(0)
    private let rest = AtomicDouble()
    private let rejected: RejectedUpdates

    init(rejected: RejectedUpdates) {
        self.rejected = rejected
    }

    /// Adds `amount`. A negative amount is refused and counted in ``MetricRegistry/rejectedUpdates``.
    package func increment(by amount: Int64) {
        guard amount >= 0 else {
            rejected.record()
            return
        }
        if amount < 1 << 32 {
            whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
        } else {
            rest.grow(by: Double(amount))
        }
    }

    /// Adds `amount`. A negative, infinite or NaN amount is refused and counted in
    /// ``MetricRegistry/rejectedUpdates``.
    package func increment(by amount: Double) {
        guard amount >= 0, amount.isFinite else {
            rejected.record()
            return
        }
        rest.grow(by: amount)
    }

    /// Starts again from 0, which Prometheus takes for a restart of the process. A page made meanwhile may show a part
    /// of the old value.
    package func reset() {
        whole.store(0, ordering: .relaxed)
        rest.store(0)
    }
}

extension ResettableCounter: Instrument {
    func writeSamples(to page: inout SampleWriter) {
        let (whole, rest) = (whole.load(ordering: .relaxed), rest.value)
        if rest == 0 { page.write(whole) } else { page.write(Double(whole) + rest) }
    }
}
