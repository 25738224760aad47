/// A value that goes up and down, such as a number of requests in flight or an age in seconds.
///
/// Any thread may call any function at any time; nothing waits and nothing is allocated. Any `Double` may be set,
/// infinities and NaN too; whole numbers are exact up to 2^53.
public final class Gauge: Sendable {
    private let current = AtomicDouble()

    init() {}

    /// Replaces the value.
    public func set(_ value: Double) {
        current.store(value)
    }

    /// Replaces the value with a whole number.
    public func set(_ value: Int) {
        current.store(Double(value))
    }

    /// Replaces the value with a time in seconds.
    public func set(_ time: Duration) {
        current.store(time.inSeconds)
    }

    /// Sets 1 for `true` and 0 for `false`.
    public func set(_ condition: Bool) {
        current.store(condition ? 1 : 0)
    }

    /// Adds `amount`, which may be negative.
    public func increment(by amount: Double = 1) {
        current.add(amount)
    }

    /// Subtracts `amount`, which may be negative.
    public func decrement(by amount: Double = 1) {
        current.add(-amount)
    }

    /// The present value. For tests: nothing should be decided by a metric.
    public var value: Double { current.value }
}

extension Gauge: Instrument {
    func writeSamples(to page: inout SampleWriter) {
        page.write(value)
    }
}
