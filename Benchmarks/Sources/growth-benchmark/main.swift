// What leases cost as there are more of them. Prints a line for each figure: NAME LEASES FIGURE.
//
//   growth-benchmark heap LEASES      bytes of live heap per lease, and per key once all are released
//   growth-benchmark outbox LEASES    bytes of live heap per sandbox whose kill does not succeed
//   growth-benchmark times LEASES...  microseconds of what is done with so many leases there

import Foundation
import SandboxCore
import Synchronization
import SystemRuntime

func heap() throws -> Double { Double(try ProcessStatistics.read().heapInUseBytes) }

func printed(_ name: String, _ leases: Int, _ figure: Double) { print(name, leases, String(format: "%.3f", figure)) }

/// Whatever was started beside an answer has ended: a kill is confirmed a little after its release.
func settle(_ manager: SandboxManager) async throws {
    while manager.gauges().inFlight > 0 || manager.gauges().usage.outbox > 0 {
        try await Task.sleep(for: .milliseconds(5))
    }
}

func measureHeap(_ leases: Int) async throws {
    let subject = Subject(remembers: false)
    // What does not depend on the number of leases is there from then on.
    try await subject.lease(leases..<leases + 2000)
    try await subject.release(leases..<leases + 2000)
    try await settle(subject.manager)
    let empty = try heap()
    try await subject.lease(0..<leases)
    try await settle(subject.manager)
    printed("per-lease", leases, (try heap() - empty) / Double(leases))
    try await subject.release(0..<leases)
    try await settle(subject.manager)
    printed("per-released-key", leases, (try heap() - empty) / Double(leases))
}

/// What a sandbox needs that should be dead and is not.
func measureOutbox(_ leases: Int) async throws {
    let subject = Subject(remembers: false, kills: false)
    try await subject.lease(leases..<leases + 2000)
    try await subject.release(leases..<leases + 2000)
    let empty = try heap()
    try await subject.lease(0..<leases)
    try await subject.release(0..<leases)
    printed("per-condemned", leases, (try heap() - empty) / Double(leases))
}

/// Microseconds that a call of `work` takes, for each of `numbers`.
func times(_ numbers: Range<Int>, _ work: (Int) async throws -> Void) async throws -> [Double] {
    var samples: [Double] = []
    let clock = ContinuousClock()
    for number in numbers {
        let start = clock.now
        try await work(number)
        samples.append((clock.now - start).inSeconds * 1e6)
    }
    return samples.sorted()
}

func median(_ samples: [Double]) -> Double { samples[samples.count / 2] }

/// Hot acquires one after the other until `isDone`; the slowest of them, in microseconds.
func slowestHot(_ manager: SandboxManager, _ keys: [LeaseKey], until isDone: borrowing Atomic<Bool>) -> Double {
    let clock = ContinuousClock()
    var slowest = Duration.zero
    var next = 0
    while !isDone.load(ordering: .relaxed) {
        let start = clock.now
        _ = manager.acquireIfFresh(keys[next])
        slowest = max(slowest, clock.now - start)
        next = (next + 1) % keys.count
    }
    return slowest.inSeconds * 1e6
}

final class Flag: Sendable { let isSet = Atomic(false) }

/// The slowest hot acquire while `work` is done, and the slowest that makes a lease: each on a thread or task beside it.
func slowestDuring(
    _ subject: Subject,
    _ fresh: Range<Int>,
    _ work: @escaping @Sendable () async throws -> Void
) async throws -> (hot: Double, made: Double) {
    let keys = try fresh.prefix(1000).map(Subject.key)
    let done = Flag()
    let working = Task {
        defer { done.isSet.store(true, ordering: .relaxed) }
        try await work()
    }
    let manager = subject.manager
    // A thread of its own: a task would take one of two from what is measured.
    let hot = Task {
        await withCheckedContinuation { (continuation: CheckedContinuation<Double, Never>) in
            Thread { continuation.resume(returning: slowestHot(manager, keys, until: done.isSet)) }.start()
        }
    }
    var slowest = 0.0
    var number = 3_000_000
    while !done.isSet.load(ordering: .relaxed) {
        let taken = try await times(number..<number + 1) { _ = try await manager.acquire(try Subject.key($0)) }
        slowest = max(slowest, taken[0])
        number += 1
        try await Task.sleep(for: .milliseconds(1))
    }
    try await working.value
    try await subject.release(3_000_000..<number)
    return (await hot.value, slowest)
}

func measureTimes(_ subject: Subject, _ leases: Int) async throws {
    let manager = subject.manager
    let extra = 2_000_000..<2_002_000
    printed("acquire", leases, median(try await times(extra) { _ = try await manager.acquire(try Subject.key($0)) }))
    printed("release", leases, median(try await times(extra) { _ = try await manager.release(try Subject.key($0)) }))
    try await settle(manager)
    let some = try (0..<1000).map { try Subject.key($0 * (leases / 1000)) }
    // A thousand at once, as the clock costs as much as one.
    let hot = try await times(0..<20) { _ in for key in some { _ = manager.acquireIfFresh(key) } }
    printed("hot-acquire", leases, median(hot) / 1000)
    await manager.round(.reaper)
    printed("reaper", leases, median(try await times(0..<21) { _ in await manager.round(.reaper) }))
    printed("extender", leases, median(try await times(0..<5) { _ in await manager.round(.extender) }))
    printed("gauges", leases, median(try await times(0..<21) { _ in _ = manager.gauges() }))
    printed(
        "list-page",
        leases,
        median(try await times(0..<5) { _ in _ = try await manager.list(user: nil, limit: 100, after: nil) })
    )
    printed("reconcile", leases, median(try await times(0..<1) { _ in await manager.round(.reconciler) }))

    let fresh = (leases - 1000)..<leases
    let quiet = try await slowestDuring(subject, fresh) { try await Task.sleep(for: .seconds(1)) }
    printed("slowest-hot-quiet", leases, quiet.hot)
    printed("slowest-made-quiet", leases, quiet.made)
    let busy = try await slowestDuring(subject, fresh) { await manager.round(.reconciler) }
    printed("slowest-hot-reconcile", leases, busy.hot)
    printed("slowest-made-reconcile", leases, busy.made)
    let looped = try await slowestDuring(subject, fresh) {
        for _ in 0..<10 {
            await manager.round(.extender)
            await manager.round(.reaper)
            _ = manager.gauges()
            _ = try await manager.list(user: nil, limit: 1000, after: nil)
        }
    }
    printed("slowest-hot-loops", leases, looped.hot)
    printed("slowest-made-loops", leases, looped.made)
}

let arguments = CommandLine.arguments.dropFirst()
let sizes = arguments.dropFirst().compactMap { Int($0) }
switch arguments.first {
case "heap":
    try await measureHeap(sizes[0])
case "outbox":
    try await measureOutbox(sizes[0])
case "times":
    let subject = Subject(remembers: true)
    var leased = 0
    for size in sizes {
        try await subject.lease(leased..<size)
        leased = size
        try await measureTimes(subject, size)
    }
default:
    FileHandle.standardError.write(Data("usage: growth-benchmark heap|outbox|times LEASES...\n".utf8))
    exit(64)
}
