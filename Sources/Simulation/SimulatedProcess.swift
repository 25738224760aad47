internal import SandboxCore

/// One life of a replica, as the operating system sees it: it can die, and it can stand still.
///
/// A dead process is never heard of again: its sleeps do not end and its calls bring nothing back, so whatever runs in
/// it goes no further than its next wait. What it had sent may still arrive. Confined to the simulation's thread.
final class SimulatedProcess: TimeSource, TaskSpawner, @unchecked Sendable {
    let name: String
    let timeline: Timeline
    private(set) var isAlive = true
    private var stalledUntil: Int64 = 0
    /// How long it has stood still in all.
    private(set) var stalledFor: Int64 = 0
    /// Its monotonic clock began somewhere: no two processes' agree.
    private let zero: Int64
    private let wallZero: Int64
    private var wallStep: Int64 = 0
    private var lastSleep: Int64 = -1
    private var sleeps = 0
    var onSpinning: (SimulatedProcess) -> Void = { _ in }
    private var outstanding: [Int: () -> Void] = [:]
    private var lastRequest = 0

    init(name: String, timeline: Timeline, zero: Int64, wallZero: Int64) {
        self.name = name
        self.timeline = timeline
        self.zero = zero
        self.wallZero = wallZero
    }

    // MARK: Life

    func die() {
        isAlive = false
        for request in outstanding.keys.sorted() { outstanding[request]?() }
        outstanding = [:]
    }

    func stall(for time: Int64) {
        stalledUntil = max(stalledUntil, timeline.now + time)
        stalledFor += time
    }

    func stepWallClock(by step: Int64) { wallStep += step }

    var isStalled: Bool { stalledUntil > timeline.now }

    /// Something reaches the process: now, when it goes on, or never.
    func reach(_ action: @escaping () -> Void) {
        guard isAlive else { return }
        guard isStalled else { return action() }
        timeline.at(stalledUntil) { self.reach(action) }
    }

    // MARK: TimeSource

    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: .nanoseconds(zero + timeline.now)) }

    func wallNow() -> WallTime { WallTime(sinceEpoch: .nanoseconds(wallZero + wallStep + timeline.now)) }

    func sleep(until deadline: MonotonicInstant) async {
        guard !isSpinning() else { return await Reply<Void>().wait() }
        let alarm = Reply<Void>()
        let at = deadline.sinceZero.nanoseconds - zero
        await withTaskCancellationHandler {
            guard !alarm.isSettled else { return }
            let set = timeline.at(at) { self.reach { alarm.settle(()) } }
            await alarm.wait()
            set.cancel()
        } onCancel: {
            reach { alarm.settle(()) }
        }
    }

    func alarm(at deadline: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> SpawnedTask? {
        let ringing = Ringing()
        let set = timeline.at(deadline.sinceZero.nanoseconds - zero) {
            self.reach { if !ringing.isCancelled { action() } }
        }
        return SpawnedTask {
            ringing.isCancelled = true
            set.cancel()
        }
    }

    /// An alarm that rang while the process stood still can be cancelled yet. Confined to the simulation's thread.
    private final class Ringing: @unchecked Sendable {
        var isCancelled = false
    }

    /// Whether somebody sleeps over and over and no time passes: they would hold up the simulation for ever.
    private func isSpinning() -> Bool {
        if lastSleep != timeline.now { (lastSleep, sleeps) = (timeline.now, 0) }
        sleeps += 1
        guard sleeps > 20_000 else { return false }
        onSpinning(self)
        return true
    }

    // MARK: TaskSpawner

    @discardableResult
    func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        let task = Task { await operation() }
        return SpawnedTask { task.cancel() }
    }

    // MARK: Requests

    /// Serves somebody outside. They learn the outcome, or that the connection broke when the process died.
    ///
    /// - Returns: The outcome, and a way to give up.
    func serve<Value: Sendable>(
        _ work: @escaping @Sendable () async -> Value
    ) -> (reply: Reply<Value?>, task: SpawnedTask) {
        let reply = Reply<Value?>()
        lastRequest += 1
        let request = lastRequest
        outstanding[request] = { reply.settle(nil) }
        let start = Start()
        reach {
            let task = self.spawn("request") {
                let value = await work()
                guard self.isAlive else { return }
                self.outstanding[request] = nil
                reply.settle(value)
            }
            start.task = task
            if start.isCancelled { task.cancel() }
        }
        return (reply, SpawnedTask { self.reach { start.cancel() } })
    }

    /// A request that a process which stands still has not begun with. Confined to the simulation's thread.
    private final class Start: @unchecked Sendable {
        var task: SpawnedTask?
        private(set) var isCancelled = false

        func cancel() {
            isCancelled = true
            task?.cancel()
        }
    }
}
