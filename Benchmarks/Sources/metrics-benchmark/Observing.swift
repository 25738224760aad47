internal import PrometheusClient
internal import Synchronization

/// A number behind a lock.
final class LockedCount: Sendable {
    let value = Mutex<UInt64>(0)

    @inline(__always)
    func add() { value.withLock { $0 &+= 1 } }
}

/// Histograms beside a mutex that is locked and unlocked.
struct Observing {
    /// The bounds of the daemon's request durations, and a duration in the fourth bucket.
    private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    private static let value = 0.007

    private let operations: Int
    private let histogram: Histogram
    private let locked = LockedCount()

    init(operations: Int) throws {
        self.operations = operations
        histogram = try MetricRegistry().histogram("benchmark_seconds", help: "Durations.", buckets: Self.bounds)
    }

    func measure() {
        let (histogram, locked) = (histogram, locked)
        let alone = nanoseconds(operations) { locked.add() }
        report("observe-1", nanoseconds(operations) { histogram.observe(Self.value) }, alone)
        let contended = contendedNanoseconds(operations / 4) { locked.add() }
        report("observe-2", contendedNanoseconds(operations / 4) { histogram.observe(Self.value) }, contended)
    }

    func countAllocations() {
        report("observe-allocations", allocations(1000) { histogram.observe(Self.value) }, 0)
    }
}
