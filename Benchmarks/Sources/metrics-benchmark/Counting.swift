internal import PrometheusClient
internal import Synchronization

/// A number that threads add to, and nothing else.
final class RawCount: Sendable {
    let value = Atomic<UInt64>(0)

    @inline(__always)
    func add() { value.wrappingAdd(1, ordering: .relaxed) }
}

/// Counters, with a label and without, beside an atomic addition.
struct Counting {
    private let operations: Int
    private let counter: Counter
    private let colours: CounterFamily<Colour>
    private let raw = RawCount()

    init(operations: Int) throws {
        self.operations = operations
        let registry = MetricRegistry()
        counter = try registry.counter("benchmark_events_total", help: "Events.")
        colours = try registry.counter("benchmark_colours_total", help: "Colours.", by: Colour.self)
    }

    func measure() {
        let (counter, colours, raw) = (counter, colours, raw)
        let alone = nanoseconds(operations) { raw.add() }
        report("counter-1", nanoseconds(operations) { counter.increment() }, alone)
        report("labelled-1", nanoseconds(operations) { colours.increment(.olive) }, alone)
        let contended = contendedNanoseconds(operations / 4) { raw.add() }
        report("counter-2", contendedNanoseconds(operations / 4) { counter.increment() }, contended)
    }

    func countAllocations() {
        report("counter-allocations", allocations(1000) { counter.increment() }, 0)
        report("labelled-allocations", allocations(1000) { colours.increment(.olive) }, 0)
    }
}
