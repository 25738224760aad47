import Synchronization

/// What the client's callers and its loop both see.
final class ClientStatus: Sendable {
    private let pending = Atomic<Int>(0)
    private let current = Mutex(RedisConnectionState.closed)

    /// Commands that wait for an answer.
    var pendingCommands: Int { pending.load(ordering: .relaxed) }

    /// Counts commands in, unless there would be more than `limit`.
    func admit(_ count: Int, limit: Int) -> Bool {
        guard pending.add(count, ordering: .relaxed).newValue > limit else { return true }
        dismiss(count)
        return false
    }

    func dismiss(_ count: Int) { pending.subtract(count, ordering: .relaxed) }

    var state: RedisConnectionState { current.withLock { $0 } }

    /// - Returns: The state before.
    func change(to state: RedisConnectionState) -> RedisConnectionState {
        current.withLock { current in
            defer { current = state }
            return current
        }
    }
}
