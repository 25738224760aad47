public import SandboxCore
internal import Synchronization

/// Keeps everything that the core tells its observer, for tests to read.
public final class RecordingObserver: ManagerObserver {
    /// What was told so far.
    public struct Record: Sendable {
        /// Operations begun.
        public var started: [Operation: Int] = [:]
        /// Operations ended, however.
        public var ended: [Operation: Int] = [:]
        /// Failures of operations.
        public var failures: [Operation: [ErrorReason: Int]] = [:]
        /// Operations whose caller left.
        public var outlived: [Operation: Int] = [:]
        /// Those that ended afterwards.
        public var outlivedEnded: [Operation: Int] = [:]
        /// The least that was ever in flight of an operation; negative means that the books are wrong.
        public var leastInFlight = 0
        /// Acquires by source.
        public var acquired: [AcquireSource: Int] = [:]
        /// Phases timed.
        public var phases: [AcquirePhase: Int] = [:]
        /// Limit refusals.
        public var limitRejections: [LimitScope: Int] = [:]
        /// Leases ended.
        public var leasesEnded: [LeaseEndReason: Int] = [:]
        /// User locks made.
        public var locksCreated = 0
        /// User locks removed.
        public var locksRemoved = 0
        /// Waits for locks that ended well.
        public var lockWaits = 0
        /// Holds that ended.
        public var lockHolds = 0
        /// Waits given up at a deadline.
        public var lockTimeouts = 0
        /// Provider calls.
        public var provider: [ProviderOperation: [ProviderResult: Int]] = [:]
        /// Repetitions.
        public var retries: [RetriedOperation: [RetryReason: Int]] = [:]
        /// Repetitions that did not help.
        public var exhausted: [RetriedOperation: Int] = [:]
        /// Changes of breakers.
        public var breakerChanges: [Upstream: [BreakerState]] = [:]
        /// Calls that breakers refused.
        public var breakerRejections: [Upstream: Int] = [:]
        /// Creations refused for their rate.
        public var rateLimited: [RateLimitScope: Int] = [:]
        /// Probes.
        public var health: [HealthResult: Int] = [:]
        /// Probes saved.
        public var healthSkipped: [HealthSkipReason: Int] = [:]
        /// Sandboxes made.
        public var sandboxesCreated: [CreationOrigin: Int] = [:]
        /// Sandboxes confirmed dead.
        public var sandboxesKilled: [KillReason: Int] = [:]
        /// Creates of unknown outcome that were resolved.
        public var ambiguities: [AmbiguityResolution: Int] = [:]
        /// What the reconciler found in no book.
        public var orphans: [OrphanAction: Int] = [:]
        /// Time that sandboxes ran, in seconds.
        public var sandboxSeconds: [SandboxUse: Double] = [:]
        /// What asking the warm pool came to.
        public var warmPoolClaims: [WarmPoolClaim: Int] = [:]
        /// Foreign labels seen.
        public var ownershipMismatches = 0
        /// Rounds of loops.
        public var loops: [LoopName: [LoopResult: Int]] = [:]
        /// Items of loops.
        public var loopItems: [LoopName: [LoopItemOutcome: Int]] = [:]
        /// Entries pushed out.
        public var evictions: [CollectionName: Int] = [:]
        /// Memory asked and found.
        public var cacheHits = 0
        /// Memory asked in vain.
        public var cacheMisses = 0

        /// How many of `operation` are in flight, those that outlive their caller included.
        public func inFlight(_ operation: Operation) -> Int {
            (started[operation] ?? 0) - (ended[operation] ?? 0)
                + (outlived[operation] ?? 0) - (outlivedEnded[operation] ?? 0)
        }

        /// Whether every operation begun has ended, and everything that outlived its caller too.
        public var isBalanced: Bool {
            started == ended && outlived == outlivedEnded && leastInFlight >= 0
        }
    }

    private let state = Mutex(Record())

    /// Nothing told yet.
    public init() {}

    /// What was told so far.
    public var record: Record { state.withLock { $0 } }

    private func note(_ change: (inout Record) -> Void) { state.withLock { change(&$0) } }

    private func note(_ operation: Operation, _ change: (inout Record) -> Void) {
        state.withLock { record in
            change(&record)
            record.leastInFlight = min(record.leastInFlight, record.inFlight(operation))
        }
    }

    // Each of the following only counts.

    /// Counted.
    public func operationStarted(_ operation: Operation) {
        note(operation) { $0.started[operation, default: 0] += 1 }
    }
    /// Counted.
    public func operationEnded(_ operation: Operation, failure: ErrorReason?, took: Duration) {
        note(operation) {
            $0.ended[operation, default: 0] += 1
            if let failure { $0.failures[operation, default: [:]][failure, default: 0] += 1 }
        }
    }
    /// Counted.
    public func operationOutlivedCaller(_ operation: Operation) {
        note(operation) { $0.outlived[operation, default: 0] += 1 }
    }
    /// Counted.
    public func outlivingOperationEnded(_ operation: Operation) {
        note(operation) { $0.outlivedEnded[operation, default: 0] += 1 }
    }
    /// Counted.
    public func acquired(from source: AcquireSource) { note { $0.acquired[source, default: 0] += 1 } }
    /// Counted.
    public func acquirePhase(_ phase: AcquirePhase, took: Duration) { note { $0.phases[phase, default: 0] += 1 } }
    /// Counted.
    public func limitRejected(_ scope: LimitScope) { note { $0.limitRejections[scope, default: 0] += 1 } }
    /// Counted.
    public func leaseEnded(_ reason: LeaseEndReason, after lifetime: Duration) {
        note { $0.leasesEnded[reason, default: 0] += 1 }
    }
    /// Counted.
    public func userLockCreated() { note { $0.locksCreated += 1 } }
    /// Counted.
    public func userLockRemoved() { note { $0.locksRemoved += 1 } }
    /// Counted.
    public func userLockWaited(_ wait: Duration) { note { $0.lockWaits += 1 } }
    /// Counted.
    public func userLockHeld(_ hold: Duration) { note { $0.lockHolds += 1 } }
    /// Counted.
    public func userLockWaitTimedOut() { note { $0.lockTimeouts += 1 } }
    /// Counted.
    public func providerCalled(_ operation: ProviderOperation, _ result: ProviderResult, took: Duration) {
        note { $0.provider[operation, default: [:]][result, default: 0] += 1 }
    }
    /// Counted.
    public func retried(_ operation: RetriedOperation, because reason: RetryReason) {
        note { $0.retries[operation, default: [:]][reason, default: 0] += 1 }
    }
    /// Counted.
    public func retriesExhausted(_ operation: RetriedOperation) { note { $0.exhausted[operation, default: 0] += 1 } }
    /// Kept in order.
    public func breakerChanged(_ upstream: Upstream, to state: BreakerState) {
        note { $0.breakerChanges[upstream, default: []].append(state) }
    }
    /// Counted.
    public func breakerRejected(_ upstream: Upstream) { note { $0.breakerRejections[upstream, default: 0] += 1 } }
    /// Counted.
    public func rateLimited(_ scope: RateLimitScope) { note { $0.rateLimited[scope, default: 0] += 1 } }
    /// Counted.
    public func healthChecked(_ result: HealthResult, took: Duration) { note { $0.health[result, default: 0] += 1 } }
    /// Counted.
    public func healthCheckSkipped(_ reason: HealthSkipReason) { note { $0.healthSkipped[reason, default: 0] += 1 } }
    /// Counted.
    public func sandboxCreated(for origin: CreationOrigin) { note { $0.sandboxesCreated[origin, default: 0] += 1 } }
    /// Counted.
    public func sandboxKilled(_ reason: KillReason) { note { $0.sandboxesKilled[reason, default: 0] += 1 } }
    /// Counted.
    public func ambiguityResolved(_ resolution: AmbiguityResolution) {
        note { $0.ambiguities[resolution, default: 0] += 1 }
    }
    /// Counted.
    public func orphanFound(_ action: OrphanAction) { note { $0.orphans[action, default: 0] += 1 } }
    /// Summed up.
    public func sandboxesRan(_ use: SandboxUse, for time: Duration) {
        note { $0.sandboxSeconds[use, default: 0] += time.inSeconds }
    }
    /// Counted.
    public func warmPoolClaimed(_ result: WarmPoolClaim) { note { $0.warmPoolClaims[result, default: 0] += 1 } }
    /// Counted.
    public func ownershipMismatched() { note { $0.ownershipMismatches += 1 } }
    /// Counted.
    public func loopRan(_ loop: LoopName, _ result: LoopResult, took: Duration, at wallTime: WallTime) {
        note { $0.loops[loop, default: [:]][result, default: 0] += 1 }
    }
    /// Counted.
    public func loopItems(_ loop: LoopName, _ outcome: LoopItemOutcome, count: Int) {
        note { $0.loopItems[loop, default: [:]][outcome, default: 0] += count }
    }
    /// Counted.
    public func collectionEvicted(_ collection: CollectionName, _ reason: EvictionReason) {
        note { $0.evictions[collection, default: 0] += 1 }
    }
    /// Counted.
    public func cacheLookedUp(hit: Bool) {
        note { if hit { $0.cacheHits += 1 } else { $0.cacheMisses += 1 } }
    }
}
