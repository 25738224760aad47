/// What the core tells whoever keeps the metrics. Every requirement has an empty default.
///
/// Called from hot paths, sometimes under a lock: an implementation must not block, allocate much or call back.
public protocol ManagerObserver: Sendable {
    /// An operation began.
    func operationStarted(_ operation: Operation)
    /// An operation ended; `failure` is `nil` for success.
    func operationEnded(_ operation: Operation, failure: ErrorReason?, took: Duration)
    /// An operation goes on although its caller left: it is in flight until ``outlivingOperationEnded(_:)``.
    func operationOutlivedCaller(_ operation: Operation)
    /// What outlived its caller has ended.
    func outlivingOperationEnded(_ operation: Operation)
    /// An acquire was served.
    func acquired(from source: AcquireSource)
    /// A phase of an acquire took so long.
    func acquirePhase(_ phase: AcquirePhase, took: Duration)
    /// A limit refused somebody.
    func limitRejected(_ scope: LimitScope)
    /// A lease ended after so long.
    func leaseEnded(_ reason: LeaseEndReason, after lifetime: Duration)
    /// A user lock came into being.
    func userLockCreated()
    /// A user lock was removed.
    func userLockRemoved()
    /// Somebody got a user lock, or the outcome they waited for, after so long.
    func userLockWaited(_ wait: Duration)
    /// A user lock was given back after so long.
    func userLockHeld(_ hold: Duration)
    /// Somebody gave up waiting because of their deadline.
    func userLockWaitTimedOut()
    /// A call of the provider ended.
    func providerCalled(_ operation: ProviderOperation, _ result: ProviderResult, took: Duration)
    /// Something is tried again.
    func retried(_ operation: RetriedOperation, because reason: RetryReason)
    /// All attempts failed.
    func retriesExhausted(_ operation: RetriedOperation)
    /// The circuit breaker before an upstream changed its mind.
    func breakerChanged(_ upstream: Upstream, to state: BreakerState)
    /// A call was refused because the breaker is open.
    func breakerRejected(_ upstream: Upstream)
    /// A creation was refused because of its rate.
    func rateLimited(_ scope: RateLimitScope)
    /// A probe ended.
    func healthChecked(_ result: HealthResult, took: Duration)
    /// A probe was not needed or not possible.
    func healthCheckSkipped(_ reason: HealthSkipReason)
    /// A sandbox was made.
    func sandboxCreated(for origin: CreationOrigin)
    /// A sandbox is confirmed dead.
    func sandboxKilled(_ reason: KillReason)
    /// A create of unknown outcome was resolved.
    func ambiguityResolved(_ resolution: AmbiguityResolution)
    /// A sandbox carried another owner's labels.
    func ownershipMismatched()
    /// The reconciler found a sandbox that was in nobody's books.
    func orphanFound(_ action: OrphanAction)
    /// Sandboxes ran for so long in all.
    func sandboxesRan(_ use: SandboxUse, for time: Duration)
    /// The warm pool was asked for a sandbox.
    func warmPoolClaimed(_ result: WarmPoolClaim)
    /// A loop's round ended.
    func loopRan(_ loop: LoopName, _ result: LoopResult, took: Duration, at wallTime: WallTime)
    /// A loop dealt with items.
    func loopItems(_ loop: LoopName, _ outcome: LoopItemOutcome, count: Int)
    /// An entry was pushed out of a collection.
    func collectionEvicted(_ collection: CollectionName, _ reason: EvictionReason)
    /// The memory of leases was asked.
    func cacheLookedUp(hit: Bool)
}

extension ManagerObserver {
    /// Ignored.
    public func operationStarted(_ operation: Operation) {}
    /// Ignored.
    public func operationEnded(_ operation: Operation, failure: ErrorReason?, took: Duration) {}
    /// Ignored.
    public func operationOutlivedCaller(_ operation: Operation) {}
    /// Ignored.
    public func outlivingOperationEnded(_ operation: Operation) {}
    /// Ignored.
    public func acquired(from source: AcquireSource) {}
    /// Ignored.
    public func acquirePhase(_ phase: AcquirePhase, took: Duration) {}
    /// Ignored.
    public func limitRejected(_ scope: LimitScope) {}
    /// Ignored.
    public func leaseEnded(_ reason: LeaseEndReason, after lifetime: Duration) {}
    /// Ignored.
    public func userLockCreated() {}
    /// Ignored.
    public func userLockRemoved() {}
    /// Ignored.
    public func userLockWaited(_ wait: Duration) {}
    /// Ignored.
    public func userLockHeld(_ hold: Duration) {}
    /// Ignored.
    public func userLockWaitTimedOut() {}
    /// Ignored.
    public func providerCalled(_ operation: ProviderOperation, _ result: ProviderResult, took: Duration) {}
    /// Ignored.
    public func retried(_ operation: RetriedOperation, because reason: RetryReason) {}
    /// Ignored.
    public func retriesExhausted(_ operation: RetriedOperation) {}
    /// Ignored.
    public func breakerChanged(_ upstream: Upstream, to state: BreakerState) {}
    /// Ignored.
    public func breakerRejected(_ upstream: Upstream) {}
    /// Ignored.
    public func rateLimited(_ scope: RateLimitScope) {}
    /// Ignored.
    public func healthChecked(_ result: HealthResult, took: Duration) {}
    /// Ignored.
    public func healthCheckSkipped(_ reason: HealthSkipReason) {}
    /// Ignored.
    public func sandboxCreated(for origin: CreationOrigin) {}
    /// Ignored.
    public func sandboxKilled(_ reason: KillReason) {}
    /// Ignored.
    public func ambiguityResolved(_ resolution: AmbiguityResolution) {}
    /// Ignored.
    public func ownershipMismatched() {}
    /// Ignored.
    public func orphanFound(_ action: OrphanAction) {}
    /// Ignored.
    public func sandboxesRan(_ use: SandboxUse, for time: Duration) {}
    /// Ignored.
    public func warmPoolClaimed(_ result: WarmPoolClaim) {}
    /// Ignored.
    public func loopRan(_ loop: LoopName, _ result: LoopResult, took: Duration, at wallTime: WallTime) {}
    /// Ignored.
    public func loopItems(_ loop: LoopName, _ outcome: LoopItemOutcome, count: Int) {}
    /// Ignored.
    public func collectionEvicted(_ collection: CollectionName, _ reason: EvictionReason) {}
    /// Ignored.
    public func cacheLookedUp(hit: Bool) {}
}

/// An observer that ignores everything.
public struct SilentObserver: ManagerObserver {
    /// Makes one.
    public init() {}
}
