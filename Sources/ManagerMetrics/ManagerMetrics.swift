public import PrometheusClient
public import SandboxCore

/// The catalogue: every metric of this program as one typed value. Implements the core's observer.
///
/// Counters and histograms move when something happens; gauges are filled from snapshots when a page is made, so that a
/// page never asks an actor and answers while everything else is stuck (I11).
public final class ManagerMetrics: ManagerObserver {
    /// What every name but those of `process_*` starts with.
    public static let prefix = "sandbox_manager_"

    /// Where all metrics are registered.
    public let registry: MetricRegistry

    private let operations: OperationMetrics
    private let locks: LockMetrics
    private let fleet: FleetMetrics
    private let ledger: LedgerMetrics
    private let warmPool: WarmPoolMetrics
    private let upstream: UpstreamMetrics
    private let redis: RedisMetrics
    /// The release that runs.
    public let version: String
    private let loops: LoopMetrics
    private let http: HTTPMetrics
    private let collections: CollectionMetrics
    private let process: ProcessMetrics
    private let faults: GaugeFamily<Fault>

    /// Registers the whole catalogue, every child at 0.
    ///
    /// - Parameters:
    ///   - build: Which build this is.
    ///   - startedAt: When the process started.
    ///   - registry: Where to register.
    /// - Throws: What is wrong with a name; a fault of ours.
    public init(
        build: BuildInformation,
        startedAt: WallTime,
        registry: MetricRegistry = MetricRegistry()
    ) throws(MetricError) {
        let prefix = Self.prefix
        self.registry = registry
        version = build.version
        operations = try OperationMetrics(registry, prefix)
        locks = try LockMetrics(registry, prefix)
        fleet = try FleetMetrics(registry, prefix)
        ledger = try LedgerMetrics(registry, prefix)
        warmPool = try WarmPoolMetrics(registry, prefix)
        upstream = try UpstreamMetrics(registry, prefix)
        redis = try RedisMetrics(registry, prefix)
        loops = try LoopMetrics(registry, prefix, startedAt: startedAt)
        http = try HTTPMetrics(registry, prefix)
        collections = try CollectionMetrics(registry, prefix)
        process = try ProcessMetrics(registry, prefix, build: build, startedAt: startedAt)
        faults = try registry.gauge(
            "\(prefix)fault_injection_active",
            help: "1 for a fault that a drill switched on.",
            by: Fault.self
        )
    }

    /// Names where gauges are read when a page is made; called once, before the first page.
    ///
    /// - Parameters:
    ///   - manager: Sizes and ages of the manager.
    ///   - server: Sizes of the HTTP servers.
    ///   - process: What the operating system says; its failure fails the page.
    ///   - activeFaults: Faults that are switched on.
    public func collect(
        manager: @escaping @Sendable () -> ManagerGauges,
        server: @escaping @Sendable () -> ServerSample,
        process: @escaping @Sendable () throws -> ProcessSample,
        activeFaults: Set<Fault>
    ) {
        for fault in activeFaults { faults.set(fault, to: 1) }
        registry.onCollect("manager") { [self] in
            let gauges = manager()
            locks.collect(gauges.userLocks)
            fleet.collect(gauges)
            ledger.collect(gauges)
            warmPool.collect(gauges.warmPool)
            upstream.collect(gauges)
            collections.collect(gauges.collections)
            for (loop, interval) in gauges.loopIntervals { loops.interval.set(loop, to: interval.inSeconds) }
        }
        registry.onCollect("http") { [self] in
            let sample = server()
            http.collect(sample)
            collections.collect([
                CollectionGauges(
                    name: .httpExchanges,
                    entries: sample.pending,
                    limit: sample.pendingLimit,
                    oldestIdle: .zero,
                    idleLimit: .zero
                )
            ])
        }
        registry.onCollect("process") { [self] in self.process.collect(try process()) }
    }

    /// A request was answered.
    public func answered(_ route: Route, method: String, code: Int, took: Duration) {
        http.answered(route, method, code, took: took)
    }

    /// A page of metrics was asked for.
    public func scraped(_ code: ScrapeCode) {
        http.scrapes.increment(code)
    }
}

// MARK: Redis

extension ManagerMetrics {
    /// Counts one attempt of a command by result, and observes.
    public func redisCommandEnded(_ command: RedisCommandLabel, _ result: RedisResultLabel, took: Duration) {
        redis.ended(command, result, took: took)
    }

    /// Counts an attempt to connect.
    public func redisReconnected(succeeded: Bool) { redis.reconnects.increment(succeeded ? .ok : .failed) }

    /// Moves one connection from a state to another.
    ///
    /// - Parameters:
    ///   - old: What it was; nil for one that is new.
    ///   - new: What it is; nil for one that is closed.
    public func redisConnectionChanged(from old: RedisConnectionLabel?, to new: RedisConnectionLabel?) {
        redis.connectionChanged(from: old, to: new)
    }
}

// MARK: The core's observer

extension ManagerMetrics {
    /// Counts an operation in.
    public func operationStarted(_ operation: Operation) { operations.started(operation) }

    /// Counts an operation out.
    public func operationEnded(_ operation: Operation, failure: ErrorReason?, took: Duration) {
        operations.ended(operation, failure, took: took)
    }

    /// Keeps it in flight.
    public func operationOutlivedCaller(_ operation: Operation) { operations.started(operation) }

    /// Counts it out at last.
    public func outlivingOperationEnded(_ operation: Operation) { operations.stopped(operation) }

    /// Counts by source.
    public func acquired(from source: AcquireSource) { operations.acquires.increment(source) }

    /// Observes the phase.
    public func acquirePhase(_ phase: AcquirePhase, took: Duration) { operations.phases.observe(phase, took) }

    /// Counts by scope.
    public func limitRejected(_ scope: LimitScope) { operations.limitRejections.increment(scope) }

    /// Counts by reason, and observes the lifetime.
    public func leaseEnded(_ reason: LeaseEndReason, after lifetime: Duration) {
        fleet.leasesEnded.increment(reason)
        fleet.leaseDuration.observe(lifetime)
    }

    /// Counts.
    public func userLockCreated() { locks.created.increment() }

    /// Counts.
    public func userLockRemoved() { locks.removed.increment() }

    /// Observes.
    public func userLockWaited(_ wait: Duration) { locks.wait.observe(wait) }

    /// Observes.
    public func userLockHeld(_ hold: Duration) { locks.hold.observe(hold) }

    /// Counts.
    public func userLockWaitTimedOut() { locks.timeouts.increment() }

    /// Counts by result, and observes.
    public func providerCalled(_ operation: ProviderOperation, _ result: ProviderResult, took: Duration) {
        guard let counted = CountedProviderOperation(operation) else { return }
        upstream.requests.increment(counted, result)
        upstream.duration.observe(counted, took)
    }

    /// Counts by cause.
    public func retried(_ operation: RetriedOperation, because reason: RetryReason) {
        upstream.retries.increment(operation, reason)
    }

    /// Counts.
    public func retriesExhausted(_ operation: RetriedOperation) { upstream.exhausted.increment(operation) }

    /// Counts by what it changed to.
    public func breakerChanged(_ upstream: Upstream, to state: BreakerState) {
        self.upstream.breakerTransitions.increment(upstream, .to(state))
    }

    /// Counts.
    public func breakerRejected(_ upstream: Upstream) { self.upstream.breakerRejections.increment(upstream) }

    /// Counts by scope.
    public func rateLimited(_ scope: RateLimitScope) { upstream.rateLimited.increment(scope) }

    /// Counts by verdict, and observes.
    public func healthChecked(_ result: HealthResult, took: Duration) {
        upstream.checks.increment(result)
        upstream.checkDuration.observe(took)
    }

    /// Counts by reason.
    public func healthCheckSkipped(_ reason: HealthSkipReason) { upstream.checksSkipped.increment(reason) }

    /// Counts by origin.
    public func sandboxCreated(for origin: CreationOrigin) { fleet.created.increment(origin) }

    /// Counts by reason.
    public func sandboxKilled(_ reason: KillReason) { fleet.killed.increment(reason) }

    /// Counts by resolution.
    public func ambiguityResolved(_ resolution: AmbiguityResolution) { fleet.ambiguous.increment(resolution) }

    /// Counts.
    public func ownershipMismatched() { fleet.ownershipMismatches.increment() }

    /// Counts by what was done.
    public func orphanFound(_ action: OrphanAction) { ledger.orphans.increment(action) }

    /// Counts by result.
    public func warmPoolClaimed(_ result: WarmPoolClaim) { warmPool.claims.increment(result) }

    /// Counts seconds by use.
    public func sandboxesRan(_ use: SandboxUse, for time: Duration) { ledger.seconds.increment(use, by: time) }

    /// Counts by result, observes, and notes the time of a success.
    public func loopRan(_ loop: LoopName, _ result: LoopResult, took: Duration, at wallTime: WallTime) {
        loops.ran(loop, result, took: took, at: wallTime)
    }

    /// Counts by outcome.
    public func loopItems(_ loop: LoopName, _ outcome: LoopItemOutcome, count: Int) {
        loops.items.increment(loop, outcome, by: count)
    }

    /// Counts by reason.
    public func collectionEvicted(_ collection: CollectionName, _ reason: EvictionReason) {
        collections.evictions.increment(collection, reason)
    }

    /// Counts hits and misses.
    public func cacheLookedUp(hit: Bool) { fleet.cacheLookups.increment(hit ? .hit : .miss) }
}
