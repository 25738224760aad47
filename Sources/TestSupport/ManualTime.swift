public import SandboxCore
internal import Synchronization

/// Both clocks under a test's hand: time passes only in ``advance(by:)``.
///
/// The wall clock follows the monotonic one, plus whatever ``stepWall(by:)`` added, so that a test can step one of them
/// (T13). Sleepers whose deadline is reached are woken in the order of their deadlines.
public final class ManualTime: TimeSource {
    private struct Sleeper {
        var deadline: MonotonicInstant
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = MonotonicInstant(sinceZero: .seconds(1_000_000))
        var wallOffset: Duration = .seconds(1_800_000_000)
        var lastSleeper: UInt64 = 0
        var sleepers: [UInt64: Sleeper] = [:]
        /// Cancelled before they were parked.
        var tombstones: Set<UInt64> = []
    }

    private let state = Mutex(State())

    /// Starts at an arbitrary instant; nobody sleeps.
    public init() {}

    /// The monotonic clock.
    public func now() -> MonotonicInstant { state.withLock { $0.now } }

    /// The civil clock.
    public func wallNow() -> WallTime {
        state.withLock { WallTime(sinceEpoch: $0.wallOffset + $0.now.sinceZero) }
    }

    /// Parks the caller until ``advance(by:)`` reaches `deadline` or the task is cancelled.
    public func sleep(until deadline: MonotonicInstant) async {
        let id = state.withLock { state in
            state.lastSleeper += 1
            return state.lastSleeper
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    guard state.tombstones.remove(id) == nil, deadline > state.now else { return true }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.tombstones.insert(id) }
                return sleeper
            }
            sleeper?.continuation.resume()
        }
        _ = state.withLock { $0.tombstones.remove(id) }
    }

    /// Lets `duration` pass on both clocks and wakes whoever is due.
    public func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now + duration
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }.map(\.value)
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Steps the civil clock alone, forwards or backwards.
    public func stepWall(by duration: Duration) {
        state.withLock { $0.wallOffset += duration }
    }

    /// How many tasks sleep.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// The times from now after which the sleepers are due, ascending.
    public var pendingDelays: [Duration] {
        state.withLock { state in state.sleepers.values.map { $0.deadline - state.now }.sorted() }
    }

    /// Waits until at least `count` tasks sleep.
    ///
    /// - Returns: `false` if that did not happen within ten real seconds.
    @discardableResult
    public func sleepers(atLeast count: Int) async -> Bool {
        await eventually { self.sleeperCount >= count }
    }

    /// Waits until somebody sleeps whose wake-up lies within `delays` from now.
    ///
    /// - Returns: `false` if that did not happen within ten real seconds.
    @discardableResult
    public func sleeper(dueIn delays: ClosedRange<Duration>) async -> Bool {
        await eventually { self.pendingDelays.contains { delays.contains($0) } }
    }
}

/// Polls `condition` until it holds.
///
/// - Parameters:
///   - limit: How long to go on, in real time.
///   - condition: Asked over and over; must be cheap.
/// - Returns: Whether it came true in time.
@discardableResult
public func eventually(within limit: Duration = .seconds(10), _ condition: () async -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + limit
    var rounds = 0
    while true {
        if await condition() { return true }
        guard ContinuousClock.now < deadline else { return false }
        rounds += 1
        // Yield first: most conditions come true within a few turns of the executor.
        if rounds < 200 { await Task.yield() } else { try? await Task.sleep(for: .milliseconds(1)) }
    }
}
