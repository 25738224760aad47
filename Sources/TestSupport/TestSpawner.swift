public import SandboxCore
internal import Synchronization

/// Starts plain tasks, and knows which of them still run.
public final class TestSpawner: TaskSpawner {
    private let live = Mutex<[String: Int]>([:])

    /// Nothing runs yet.
    public init() {}

    /// Starts a task; see ``TaskSpawner/spawn(_:_:)``.
    @discardableResult
    public func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        live.withLock { $0[name, default: 0] += 1 }
        let task = Task {
            await operation()
            self.ended(name)
        }
        return SpawnedTask { task.cancel() }
    }

    private func ended(_ name: String) {
        live.withLock { live in
            let rest = (live[name] ?? 0) - 1
            live[name] = rest > 0 ? rest : nil
        }
    }

    /// How many tasks run.
    public var liveCount: Int { live.withLock { $0.values.reduce(0, +) } }

    /// How many tasks of this name run.
    public func liveCount(named name: String) -> Int { live.withLock { $0[name] ?? 0 } }

    /// The names of what runs, for a failing test's message.
    public var liveNames: [String: Int] { live.withLock { $0 } }

    /// Waits until nothing runs.
    ///
    /// - Returns: `false` if that did not happen within ten real seconds.
    @discardableResult
    public func idle() async -> Bool { await eventually { self.liveCount == 0 } }
}
