internal import Glibc
@_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) internal import _Concurrency

/// Every job of the process waits here, and one at a time is drawn: tasks, actors, groups and continuations run in an
/// order that the seed alone decides.
///
/// Confined to the thread that made it, which is the one that runs the jobs; ``push(_:isMain:)`` checks that.
final class JobQueue: @unchecked Sendable {
    static let shared = JobQueue()

    struct Entry {
        var job: UnownedJob
        var isMain: Bool
    }

    private var ready: [Entry] = []
    private let thread = pthread_self()

    var isEmpty: Bool { ready.isEmpty }

    func push(_ job: UnownedJob, isMain: Bool) {
        precondition(pthread_self() == thread, "a job came from another thread: the order is not the seed's any more")
        ready.append(Entry(job: job, isMain: isMain))
    }

    /// Takes the job out at the place that `draw` names.
    func take(_ draw: (Int) -> Int) -> Entry? {
        guard !ready.isEmpty else { return nil }
        let place = ready.count == 1 ? 0 : draw(ready.count)
        ready.swapAt(place, ready.count - 1)
        return ready.removeLast()
    }

    /// What a run that is over has left never runs.
    func clear() { ready = [] }

    func run(_ entry: Entry) {
        if entry.isMain {
            unsafe entry.job.runSynchronously(on: SeededExecutors.main.asUnownedSerialExecutor())
        } else {
            unsafe entry.job.runSynchronously(on: SeededExecutors.shared.asUnownedTaskExecutor())
        }
    }
}

private final class SeededMainExecutor: MainExecutor, SchedulingExecutor {
    func enqueue(_ job: consuming ExecutorJob) { JobQueue.shared.push(UnownedJob(job), isMain: true) }
    func enqueue<C: Clock>(_ job: consuming ExecutorJob, after: C.Duration, tolerance: C.Duration?, clock: C) {
        preconditionFailure("somebody waits past the simulation's clock")
    }
    func run() throws {}
    func stop() {}
    var isMainExecutor: Bool { true }
    func checkIsolated() {}
    func isIsolatingCurrentContext() -> Bool? { true }
}

private final class SeededTaskExecutor: TaskExecutor, SchedulingExecutor {
    func enqueue(_ job: consuming ExecutorJob) { JobQueue.shared.push(UnownedJob(job), isMain: false) }
    func enqueue<C: Clock>(_ job: consuming ExecutorJob, after: C.Duration, tolerance: C.Duration?, clock: C) {
        preconditionFailure("somebody waits past the simulation's clock")
    }
}

private struct SeededExecutors: ExecutorFactory {
    static let main = SeededMainExecutor()
    static let shared = SeededTaskExecutor()
    static var mainExecutor: any MainExecutor { main }
    static var defaultExecutor: any TaskExecutor { shared }
}

/// Makes the simulation's queue the executor of the whole process. The first thing that a synchronous `main` does:
/// whatever ran before would have another executor.
public func installSeededExecutor() {
    _createExecutors(factory: SeededExecutors.self)
    _ = JobQueue.shared
}
