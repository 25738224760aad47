import Synchronization
import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// A key that is valid by construction.
func key(_ user: String = "alice", _ project: String = "p1") throws -> LeaseKey {
    try LeaseKey(user: user, project: project)
}

extension MonotonicInstant {
    /// An instant by its seconds, for pure tests.
    static func at(_ seconds: Double) -> MonotonicInstant { MonotonicInstant(sinceZero: .seconds(seconds)) }
}

/// A call under way.
struct Pending<Value: Sendable>: Sendable {
    fileprivate let task: Task<Result<Value, ManagerError>, Never>
    fileprivate let ending: RecordedOrder

    /// How it ended; waits for that, and cancels the call when it seems not to end at all.
    var value: Result<Value, ManagerError> {
        get async {
            if await !eventually(within: .seconds(20), { isDone }) {
                Issue.record("a call did not end")
                task.cancel()
            }
            return await task.value
        }
    }
    /// Whether it ended.
    var isDone: Bool { !ending.all.isEmpty }
    /// Cancels its task.
    func cancel() { task.cancel() }
}

/// A manager with everything around it under the test's hand.
struct World {
    let time = ManualTime()
    let spawner = TestSpawner()
    let observer = RecordingObserver()
    let provider: ScriptedProvider
    let store: any LeaseStore
    let gate: GatedStore?
    let manager: SandboxManager

    /// - Parameters:
    ///   - capabilities: What the provider claims.
    ///   - gated: Whether a ``gate`` stands before the store.
    ///   - recovered: Whether what ran before is known already.
    ///   - configure: Changes the default configuration.
    init(
        capabilities: ProviderCapabilities = ProviderCapabilities(canPause: true, outlivesProcess: true),
        gated: Bool = false,
        recovered: Bool = true,
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) {
        var configuration = ManagerConfiguration()
        // A limit of the rate would be in the way of most tests.
        configuration.creationRate = .unlimited
        // Nobody lists the provider by itself here.
        configuration.listingWait = .zero
        configure(&configuration)
        provider = ScriptedProvider(time: time, capabilities: capabilities)
        let memory = MemoryLeaseStore(time: time)
        gate = gated ? GatedStore(memory) : nil
        store = gate ?? memory
        manager = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: store,
            runtime: Runtime(time: time, random: SeededRandom(), spawner: spawner),
            observer: observer
        )
        // Most tests begin with a provider that is known to be empty.
        manager.hasRecovered.store(recovered, ordering: .releasing)
    }

    /// Another replica: own memory, the same store and provider.
    func replica(
        _ observer: RecordingObserver = RecordingObserver(),
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) -> SandboxManager {
        var configuration = ManagerConfiguration()
        configuration.owner = "replica"
        configure(&configuration)
        let replica = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: store,
            runtime: Runtime(time: time, random: SeededRandom(seed: 2), spawner: spawner),
            observer: observer
        )
        replica.hasRecovered.store(true, ordering: .releasing)
        return replica
    }

    /// Starts `body` as a task of its own and returns it.
    func start<Value: Sendable>(_ body: @escaping @Sendable () async throws(ManagerError) -> Value) -> Pending<Value> {
        let ending = RecordedOrder()
        let task = Task { () -> Result<Value, ManagerError> in
            defer { ending.append(1) }
            do throws(ManagerError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return Pending(task: task, ending: ending)
    }

    /// Starts an acquire.
    func acquiring(
        _ key: LeaseKey,
        _ options: AcquireOptions = AcquireOptions(),
        within limit: Duration? = nil
    ) -> Pending<Grant> {
        let manager = manager
        return start { () async throws(ManagerError) in try await manager.acquire(key, options, within: limit) }
    }

    /// Waits until callers in this number wait for user locks.
    @discardableResult
    func waiters(_ count: Int) async -> Bool {
        await eventually { self.manager.gauges().userLocks.waiters == count }
    }

    /// Lets time pass in steps until `condition` holds; between the steps everybody gets to run.
    @discardableResult
    func passing(_ step: Duration, atMost steps: Int = 200, until condition: () -> Bool) async -> Bool {
        for _ in 0..<steps {
            if await eventually(within: .milliseconds(20), condition) { return true }
            time.advance(by: step)
        }
        return condition()
    }

    /// Checks that nothing is under way and the books are balanced; call it when the test is over.
    func expectQuiet(_ location: SourceLocation = #_sourceLocation) async {
        #expect(await spawner.idle(), "still running: \(spawner.liveNames)", sourceLocation: location)
        let gauges = manager.gauges()
        #expect(gauges.userLocks.held == 0, sourceLocation: location)
        #expect(gauges.userLocks.idle == 0, sourceLocation: location)
        #expect(gauges.userLocks.waiters == 0, sourceLocation: location)
        let record = observer.record
        #expect(record.locksCreated == record.locksRemoved, sourceLocation: location)
        #expect(record.isBalanced, "\(record.started) \(record.ended)", sourceLocation: location)
    }
}

/// Failures of a provider that tests script.
enum Failures {
    static func http(_ status: Int, _ operation: ProviderOperation = .create) -> ProviderError {
        ProviderError(operation, .http(status: status), "status \(status)", effect: .none)
    }

    static func reset(_ operation: ProviderOperation = .create, effect: ProviderError.Effect = .unknown)
        -> ProviderError
    {
        ProviderError(operation, .reset, "connection reset", effect: effect)
    }
}
