import Synchronization
import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// Runs something at the moment when work is started, before it starts.
private final class HookedSpawner: TaskSpawner {
    private let inner = TestSpawner()
    private let hook = Mutex<(@Sendable () -> Void)?>(nil)

    func atNextSpawn(_ action: @escaping @Sendable () -> Void) { hook.withLock { $0 = action } }

    func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        let action = hook.withLock { hook in
            defer { hook = nil }
            return hook
        }
        action?()
        return inner.spawn(name, operation)
    }
}

@Suite(.timeLimit(.minutes(1))) struct UserLocksRaceTests {
    @Test func `I6: who is granted the lock before they listen keeps it, although they are cancelled by then`()
        async throws
    {
        let key = try key()
        let spawner = HookedSpawner()
        let time = ManualTime()
        let locks = UserLocks<Int>(
            waiterLimit: 10,
            forgetsToRemove: false,
            runtime: Runtime(time: time, random: SeededRandom(), spawner: spawner),
            observer: SilentObserver()
        )
        let deadline = time.now() + .seconds(90)
        guard case .granted(let held) = try await locks.enter(key, .exclusive, until: deadline) else {
            Issue.record("a free lock was not granted")
            return
        }
        // In line, but not listening yet: the lock is given back between the two.
        spawner.atNextSpawn { locks.finish(key, held) }
        let caller = Task {
            while !Task.isCancelled { await Task.yield() }
            guard case .granted(let ticket) = try await locks.enter(key, .shared, until: deadline) else { return false }
            locks.finish(key, ticket, with: 1)
            return true
        }
        caller.cancel()
        #expect((try? await caller.value) == true)
        #expect(locks.count == 0)
    }
}
