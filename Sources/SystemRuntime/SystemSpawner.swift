public import SandboxCore
internal import Synchronization

/// Starts detached work as tasks on the process's executor, or on one that is given.
public final class SystemSpawner: TaskSpawner {
    private let executor: (any TaskExecutor)?
    private let live = Atomic(0)

    /// Starts work on `executor`; on the process's default one if `nil`.
    public init(executor: (any TaskExecutor)? = nil) { self.executor = executor }

    /// How much of the started work has not ended.
    public var count: Int { live.load(ordering: .relaxed) }

    /// Starts `operation` as an unstructured task called `name`.
    @discardableResult
    public func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        live.wrappingAdd(1, ordering: .relaxed)
        let work: @Sendable () async -> Void = { [self] in
            await operation()
            live.wrappingSubtract(1, ordering: .relaxed)
        }
        // The one place of the program that starts unstructured tasks. A preference of `nil` is still one, which is
        // looked up at every turn: a twentieth of an acquire with a probe.
        let task =
            if let executor {
                Task(name: name, executorPreference: executor) { await work() }
            } else {
                Task(name: name) { await work() }
            }
        return SpawnedTask { task.cancel() }
    }
}

extension Runtime {
    /// The operating system's clocks and random numbers, and tasks on the default executor.
    public static func system() -> Runtime {
        Runtime(time: SystemTime(), random: SystemRandom(), spawner: SystemSpawner())
    }
}
