import Synchronization

/// A `Double` that many threads change without a lock, kept as its bit pattern.
struct AtomicDouble: ~Copyable, Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func store(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    func add(_ amount: Double) {
        update { $0 + amount }
    }

    /// Adds `amount`, which is not negative, and stops at the largest finite number: a sum must not become infinite.
    func grow(by amount: Double) {
        update { min($0 + amount, .greatestFiniteMagnitude) }
    }

    /// Stores `value` unless a value at least as large is there.
    func raise(to value: Double) {
        update { max($0, value) }
    }

    // Relaxed is enough: a metric's value orders nothing but itself.
    @inline(__always)
    private func update(_ transform: (Double) -> Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let desired = transform(Double(bitPattern: current)).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(
                expected: current,
                desired: desired,
                ordering: .relaxed
            )
            if exchanged { return }
            current = original
        }
    }
}
