public import Logging
internal import Synchronization

/// Leases sandboxes: a key always gets the same healthy sandbox, made once, limited, checked, cleaned up, never lost.
///
/// An acquire of a fresh lease is answered from the lease table, without an actor hop. Everything else takes the key's
/// user lock; whoever gets it starts a *flight* that is detached from its caller, and later callers share its outcome.
/// The flight tries memory, then the store, then creates: it reserves a slot, an epoch and an intent in one step, calls
/// the provider, and commits by epoch. Whatever ends a lease puts its sandbox into the kill outbox, and only a
/// confirmed death frees the slot. Background loops end idle leases, work the outbox off, and extend what is used.
public actor SandboxManager {
    nonisolated let configuration: ManagerConfiguration
    nonisolated let runtime: Runtime
    nonisolated let provider: ProviderCaller
    nonisolated let store: any LeaseStore
    nonisolated let observer: any ManagerObserver
    nonisolated let log: Logger
    nonisolated let locks: UserLocks<Result<Grant, ManagerError>>
    nonisolated let table: Mutex<LeaseTable>
    nonisolated let recorder = Mutex(FlightRecorder())
    nonisolated let counters = StatisticsCounters()
    nonisolated let draining = Atomic(false)
    /// Whether an operator wants no sandbox to be made.
    nonisolated let creationsStopped = Atomic(false)
    /// When each loop's last round ended without failing as a whole.
    nonisolated let loopSuccesses = Mutex<[LoopName: WallTime]>([:])
    /// Whether everything that ran before this process is in the books.
    nonisolated let hasRecovered = Atomic(false)
    /// Public operations and detached flights under way; shutdown waits until there are none.
    nonisolated let inFlight = Atomic(0)
    /// What the comparisons of books and provider found.
    nonisolated let reconciliation = Mutex(Reconciliation())
    /// Kills of the outbox worker under way.
    nonisolated let repeatedKills = Atomic(0)
    nonisolated let rates: Mutex<CreationRateLimiter>
    nonisolated let pacer = Mutex(CreationPacer())
    nonisolated let retryBudget = Mutex(RetryBudget())
    nonisolated let pool: Mutex<PoolSchedule>
    /// The last time that any sandbox answered a probe: one that is silent while others answer is ill.
    nonisolated let lastAnswer: Mutex<MonotonicInstant?> = Mutex(nil)

    /// Joins the parts; nothing starts before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: How to behave.
    ///   - provider: What makes and ends sandboxes.
    ///   - store: Where the truth lives.
    ///   - runtime: Clocks, randomness, spawning.
    ///   - observer: Who keeps the metrics.
    ///   - log: Where events go; constant texts with metadata.
    public init(
        configuration: ManagerConfiguration,
        provider: any SandboxProvider,
        store: any LeaseStore,
        runtime: Runtime,
        observer: any ManagerObserver = SilentObserver(),
        log: Logger = Logger(label: "sandbox-manager")
    ) {
        self.configuration = configuration
        self.runtime = runtime
        self.provider = ProviderCaller(
            provider: provider,
            configuration: configuration,
            runtime: runtime,
            observer: observer
        )
        self.store = store
        self.observer = observer
        self.log = log
        locks = UserLocks(
            waiterLimit: configuration.maxWaiters,
            forgetsToRemove: configuration.faults.contains(.userLockLeak),
            runtime: runtime,
            observer: observer
        )
        table = Mutex(
            LeaseTable(
                policy: LeaseTable.Policy(freshWindow: configuration.freshWindow, maxAge: configuration.maxAge)
            )
        )
        rates = Mutex(CreationRateLimiter(configuration.creationRate))
        pool = Mutex(PoolSchedule(perSecond: configuration.warmPool.perSecond))
        store.join(self)
    }

    /// The provider's name, for replies.
    public nonisolated var providerName: String { provider.provider.name }

    /// How long a lease may live at all, for checking wishes early.
    public nonisolated var greatestAge: Duration { configuration.maxAge }

    /// Whether new work is refused.
    public nonisolated var isDraining: Bool { draining.load(ordering: .sequentiallyConsistent) }

    // MARK: Acquire

    /// The hot path: the lease of `key` if it is fresh, without waiting for anything.
    ///
    /// - Returns: `nil` when a question must be asked first; call ``acquire(_:_:within:)`` then.
    public nonisolated func acquireIfFresh(_ key: LeaseKey) -> Grant? {
        guard !isDraining else { return nil }
        let start = runtime.time.now()
        let (freshness, endsSoon) = table.withLock { table in
            let freshness = table.handOutIfFresh(key, now: start)
            guard case .fresh(let lease, _) = freshness else { return (freshness, false) }
            return (freshness, table.endsSoon(lease, now: start))
        }
        guard case .fresh(let lease, let probeBehind) = freshness else { return nil }
        observer.operationStarted(.acquire)
        counters.requests.increment()
        countMemory(hit: true)
        if probeBehind {
            runtime.spawner.spawn("probe behind") { await self.probeBehind(lease) }
        } else {
            observer.healthCheckSkipped(.fresh)
        }
        observer.acquired(from: .memory)
        observer.operationEnded(.acquire, failure: nil, took: runtime.time.now() - start)
        return grant(lease, .memory, endsSoon: endsSoon)
    }

    /// Gives the sandbox of `key`, making one if there is none.
    ///
    /// Cancelling the caller cancels only its waiting: what was started goes on and serves whoever asks next.
    ///
    /// - Parameters:
    ///   - key: Whose sandbox.
    ///   - options: Wishes, for the case that one is made.
    ///   - limit: The longest wait; the configured request deadline if `nil`.
    /// - Returns: How to reach the sandbox, and whether it was made for this request.
    /// - Throws: ``ManagerError``, typed by cause.
    public func acquire(
        _ key: LeaseKey,
        _ options: AcquireOptions = AcquireOptions(),
        within limit: Duration? = nil
    ) async throws(ManagerError) -> Grant {
        // A hit counts itself; only one of the two paths counts this acquire. Bad wishes are refused even where none
        // would be needed (S3), and counted on the long path.
        let isWellFormed = (try? options.validate(maxAge: configuration.maxAge)) != nil
        if isWellFormed, let grant = acquireIfFresh(key) { return grant }
        return try await measured(.acquire) { () async throws(ManagerError) in
            counters.requests.increment()
            try options.validate(maxAge: configuration.maxAge)
            try refuseWhenDraining()
            let deadline = runtime.time.now() + (limit ?? configuration.requestDeadline)
            let grant = try await enterAndWait(key, options, until: deadline)
            observer.acquired(from: grant.source)
            return grant
        }
    }

    private func enterAndWait(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        until deadline: MonotonicInstant
    ) async throws(ManagerError) -> Grant {
        let start = runtime.time.now()
        let entrance = try await locks.enter(key, .shared, until: deadline)
        observer.acquirePhase(.lockWait, took: runtime.time.now() - start)
        switch entrance {
        case .shared(let outcome):
            return try outcome.get().joined()
        case .granted(let ticket):
            let accounting = startFlight(key, options, ticket)
            do throws(ManagerError) {
                return try await locks.outcome(of: ticket, key, until: deadline).get()
            } catch {
                accounting.callerLeft()
                throw error
            }
        }
    }

    private func startFlight(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ ticket: UserLockTable.Ticket
    ) -> FlightAccounting {
        let accounting = FlightAccounting(observer: observer)
        inFlight.increment()
        runtime.spawner.spawn("acquire") { [self] in
            let outcome = await Result.catching { () async throws(ManagerError) in
                try await fly(key, options, ticket)
            }
            // First the books, then the lock: a caller that sees the outcome sees them settled.
            accounting.flightEnded()
            inFlight.wrappingSubtract(1, ordering: .relaxed)
            locks.finish(key, ticket, with: outcome)
        }
        return accounting
    }

    // MARK: Shared pieces

    /// Runs a public operation: counted, timed, and seen by shutdown.
    func measured<Value>(
        _ operation: Operation,
        _ body: () async throws(ManagerError) -> Value
    ) async throws(ManagerError) -> Value {
        let start = runtime.time.now()
        observer.operationStarted(operation)
        // Ordered against the drain: either this operation sees that it began, or it sees this operation.
        inFlight.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { inFlight.wrappingSubtract(1, ordering: .relaxed) }
        do throws(ManagerError) {
            let value = try await body()
            observer.operationEnded(operation, failure: nil, took: runtime.time.now() - start)
            return value
        } catch {
            observer.operationEnded(operation, failure: error.reason, took: runtime.time.now() - start)
            throw error
        }
    }

    /// Times a phase of an acquire, however it ends.
    func phase<Value, Failure: Error>(
        _ phase: AcquirePhase,
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let start = runtime.time.now()
        defer { observer.acquirePhase(phase, took: runtime.time.now() - start) }
        return try await body()
    }

    func refuseWhenDraining() throws(ManagerError) {
        if isDraining { throw .draining }
    }

    nonisolated func countMemory(hit: Bool) {
        observer.cacheLookedUp(hit: hit)
        if hit { counters.cacheHits.increment() } else { counters.cacheMisses.increment() }
    }

    nonisolated func grant(_ lease: Lease, _ source: AcquireSource, endsSoon: Bool? = nil) -> Grant {
        Grant(
            key: lease.key,
            epoch: lease.epoch,
            source: source,
            sandbox: lease.sandbox,
            createdAt: lease.createdAt,
            expiresAt: lease.expiresAt,
            endsSoon: endsSoon ?? table.withLock { $0.endsSoon(lease, now: runtime.time.now()) }
        )
    }

    /// Notes an event of a key for whoever asks later.
    nonisolated func note(_ key: LeaseKey, _ event: String) {
        // Nobody can ask for the key of a pool member.
        guard !key.isWarm else { return }
        let at = runtime.time.wallNow()
        let forgotten = recorder.withLock { $0.record(key, event, at: at) }
        for _ in 0..<forgotten { observer.collectionEvicted(.flightRecorder, .capacity) }
    }
}

/// Keeps the operation of an acquire in flight while its flight goes on without it, so that a held user lock always has
/// an operation that justifies it.
final class FlightAccounting: Sendable {
    private enum State {
        case attended, abandoned, ended
    }

    private let state = Mutex(State.attended)
    private let observer: any ManagerObserver

    init(observer: any ManagerObserver) { self.observer = observer }

    func callerLeft() {
        let outlives = state.withLock { state in
            guard state == .attended else { return false }
            state = .abandoned
            return true
        }
        if outlives { observer.operationOutlivedCaller(.acquire) }
    }

    func flightEnded() {
        let outlived = state.withLock { state in
            defer { state = .ended }
            return state == .abandoned
        }
        if outlived { observer.outlivingOperationEnded(.acquire) }
    }
}
