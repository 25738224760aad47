import SandboxCore
import Synchronization

/// A clock that the test moves; a sleeper wakes when its deadline is reached or its task is cancelled.
final class SteppedTime: TimeSource {
    private struct State {
        var elapsed: Duration = .zero
        var lastID = 0
        var sleepers: [Int: (deadline: MonotonicInstant, wake: CheckedContinuation<Void, Never>)] = [:]
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())

    var sleeping: Int { state.withLock { $0.sleepers.count } }

    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: .seconds(1000) + state.withLock { $0.elapsed }) }
    func wallNow() -> WallTime { WallTime(sinceEpoch: .seconds(1_700_000_000) + state.withLock { $0.elapsed }) }

    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.elapsed += duration
            let now = MonotonicInstant(sinceZero: .seconds(1000) + state.elapsed)
            let due = state.sleepers.filter { $0.value.deadline <= now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.wake)
        }
        for wake in due { wake.resume() }
    }

    func sleep(until deadline: MonotonicInstant) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let now = MonotonicInstant(sinceZero: .seconds(1000) + state.elapsed)
                    guard state.cancelled.remove(id) == nil, deadline > now else { return true }
                    state.sleepers[id] = (deadline, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let wake = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper?.wake
            }
            wake?.resume()
        }
    }

    /// Waits until so many sleep, at most ten seconds.
    func waitForSleepers(_ count: Int) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while sleeping < count, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(1)) }
        return sleeping == count
    }
}

/// 1, 2, 3: every sandbox gets another id.
final class CountingRandom: RandomSource {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
