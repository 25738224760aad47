internal import Synchronization

/// A value that is settled once and awaited by one task, which may stop waiting before.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Value, Never>)
        case settled(Value)
        case consumed
    }

    private let state = Mutex(State.open)

    /// Settles the value; later calls do nothing.
    ///
    /// - Returns: Whether this call was the first.
    @discardableResult
    func settle(_ value: Value) -> Bool {
        let (isFirst, continuation): (Bool, CheckedContinuation<Value, Never>?) = state.withLock { state in
            switch state {
            case .open:
                state = .settled(value)
                return (true, nil)
            case .awaited(let continuation):
                state = .consumed
                return (true, continuation)
            case .settled, .consumed:
                return (false, nil)
            }
        }
        continuation?.resume(returning: value)
        return isFirst
    }

    /// Waits for the value. Called once.
    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let settled = state.withLock { state -> Value? in
                if case .settled(let value) = state {
                    state = .consumed
                    return value
                }
                state = .awaited(continuation)
                return nil
            }
            if let settled { continuation.resume(returning: settled) }
        }
    }
}

extension Runtime {
    /// Runs `work` for at most `limit`; then, or when the caller is cancelled, `fallback` is the answer.
    ///
    /// The work is cancelled then, but not waited for: one that ignores cancellation delays nobody (I9).
    ///
    /// - Parameters:
    ///   - name: What the work is, for whoever looks at a hung process.
    ///   - limit: How long it may take.
    ///   - fallback: The answer when time runs out, or when the caller is cancelled.
    ///   - work: The work.
    /// - Returns: The work's value or the fallback, whichever is first.
    public func bounded<Value: Sendable>(
        _ name: String,
        by limit: Duration,
        fallback: @escaping @Sendable (_ isCancelled: Bool) -> Value,
        _ work: @escaping @Sendable () async -> Value
    ) async -> Value {
        let result = OneShot<Value>()
        let task = spawner.spawn(name) { result.settle(await work()) }
        let timer = alarm("\(name) time limit", at: time.now() + limit) {
            if result.settle(fallback(false)) { task.cancel() }
        }
        let value = await withTaskCancellationHandler {
            await result.value()
        } onCancel: {
            if result.settle(fallback(true)) { task.cancel() }
        }
        timer.cancel()
        return value
    }

    /// Calls `action`, which must be quick, at `deadline`, unless the handle is cancelled before.
    ///
    /// Nearly every time limit is cancelled. Where the clock has alarms, that takes an entry in a table instead of a task:
    /// the three limits of an acquire with a probe took a quarter of its processor time.
    func alarm(
        _ name: @autoclosure () -> String,
        at deadline: MonotonicInstant,
        _ action: @escaping @Sendable () -> Void
    ) -> SpawnedTask {
        if let alarm = time.alarm(at: deadline, action) { return alarm }
        return spawner.spawn(name()) { [time] in
            await time.sleep(until: deadline)
            guard !Task.isCancelled else { return }
            action()
        }
    }
}
