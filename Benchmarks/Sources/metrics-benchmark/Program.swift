internal import CAllocations
internal import Glibc
internal import PrometheusClient
internal import Synchronization

// metrics-benchmark ROUNDS OPERATIONS: a line `ROW OURS YARDSTICK` for each row and round, for rows/metrics.py.
//
// In each round ours and the yardstick take turns. Times are nanoseconds per operation, those of rendering milliseconds
// per page; `…-allocations` are what one operation asks malloc for. Each operation is measured alone and, where that is
// another matter, by two threads at once.

/// As many labels as the daemon's busiest metric by operation has.
enum Colour: String, MetricLabel {
    case amber, azure, beige, black, blue, brown, coral, cyan, gold, green, grey, ivory, lime, mauve, navy, olive
    static var labelName: String { "colour" }
}

@main
enum Program {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let rounds = Int(arguments[1]), let operations = Int(arguments[2]) else {
            throw Usage()
        }
        let counting = try Counting(operations: operations)
        let observing = try Observing(operations: operations)
        let rendering = try Rendering(pages: max(operations / 100_000, 3))
        for _ in 0..<rounds {
            counting.measure()
            observing.measure()
            try rendering.measure()
        }
        counting.countAllocations()
        observing.countAllocations()
        try rendering.countAllocations()
    }
}

struct Usage: Error, CustomStringConvertible {
    var description: String { "usage: metrics-benchmark ROUNDS OPERATIONS" }
}

/// One line for rows/metrics.py.
func report(_ row: String, _ ours: Double, _ yardstick: Double) {
    print(row, ours, yardstick)
}

/// Nanoseconds of processor time of one call of `operation`, made `count` times: what else runs on the machine counts for
/// little then.
@inline(__always)
func nanoseconds(_ count: Int, _ operation: () throws -> Void) rethrows -> Double {
    let start = processorTime()
    for _ in 0..<count { try operation() }
    return Double(processorTime() - start) / Double(count)
}

/// Nanoseconds that one call took, while each of two threads made `count` of them at once.
@inline(__always)
func contendedNanoseconds(_ count: Int, _ operation: @escaping @Sendable () -> Void) -> Double {
    let team = Team(2) { for _ in 0..<count { operation() } }
    return team.run() / .nanoseconds(1) / Double(count)
}

private func processorTime() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What an operation asks malloc for, on average over many calls; nobody else may run meanwhile.
@inline(__always)
func allocations(_ count: Int, _ operation: () throws -> Void) rethrows -> Double {
    // What is made once, at the first call, does not count.
    try operation()
    let before = allocations_count()
    for _ in 0..<count { try operation() }
    return Double(allocations_count() - before) / Double(count)
}
