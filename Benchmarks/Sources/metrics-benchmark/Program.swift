internal import CAllocations
internal import Glibc
internal import PrometheusClient
internal import Synchronization

// metrics-benchmark ROUNDS OPERATIONS: a line `ROW OURS YARDSTICK` for each row and round, for rows/metrics.py.
//
// In each round ours and the yardstick take turns. Times are nanoseconds per operation, those of rendering milliseconds
// per page; `…-allocations` are what one operation asks malloc for.

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

/// Nanoseconds of one call of `operation`, made `count` times by each of `threads` threads at once; of several threads,
/// the time that all of them took by the calls of one.
@inline(__always)
func nanoseconds(_ count: Int, threads: Int = 1, _ operation: @escaping @Sendable () -> Void) -> Double {
    let clock = ContinuousClock()
    guard threads > 1 else {
        let start = clock.now
        for _ in 0..<count { operation() }
        return (clock.now - start) / .nanoseconds(1) / Double(count)
    }
    let team = Team(threads) { for _ in 0..<count { operation() } }
    return team.run() / .nanoseconds(1) / Double(count)
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
