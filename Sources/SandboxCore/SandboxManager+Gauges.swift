internal import Synchronization

extension SandboxManager {
    /// Every size and age right now. Takes short mutexes only, never a turn of the actor (I11).
    public nonisolated func gauges() -> ManagerGauges {
        var gauges = ManagerGauges(limits: configuration.limits, storeMode: store.mode)
        let usage = store.usage()
        gauges.usage = usage
        gauges.leasesCreating = usage.reservations
        gauges.leasesActive = usage.active
        gauges.leasesPaused = usage.paused
        gauges.leasesReleasing = usage.outbox
        gauges.warmPool.ready = usage.warm
        gauges.warmPool.target = configuration.warmPool.target
        gauges.warmPool.pending = usage.warmPending
        gauges.userLocks = locks.gauges()
        gauges.providerBreaker = provider.breakerState()
        gauges.storeBreaker = store.breaker
        gauges.retryBudget = retryBudget.withLock { $0.retries }
        (gauges.provider, gauges.drift) = reconciliation.withLock { ($0.provider, $0.drift) }
        gauges.isDraining = isDraining
        gauges.areCreationsStopped = areCreationsStopped
        gauges.inFlight = inFlight.load(ordering: .relaxed)
        gauges.loopSuccesses = loopSuccesses.withLock { $0 }
        gauges.loopIntervals = Self.loops(of: configuration)
        gauges.collections = collections(gauges)
        return gauges
    }

    private nonisolated func collections(_ gauges: ManagerGauges) -> [CollectionGauges] {
        let usage = gauges.usage
        let total = configuration.limits.total
        let creationLife = configuration.requestDeadline + configuration.createTimeout + Self.intentGrace
        let leases = usage.reservations + usage.active + usage.paused + usage.outbox
        return [
            CollectionGauges(
                name: .userLocks,
                entries: gauges.userLocks.held + gauges.userLocks.idle,
                // Each entry has a holder: a caller, a flight that outlived one, or a loop.
                limit: configuration.maxWaiters + total,
                oldestIdle: gauges.userLocks.oldestIdle,
                idleLimit: .zero
            ),
            CollectionGauges(
                name: .leases,
                entries: leases,
                limit: total,
                oldestIdle: .zero,
                idleLimit: configuration.maxAge
            ),
            CollectionGauges(
                name: .intents,
                entries: usage.intents,
                limit: total,
                oldestIdle: usage.oldestIntent,
                idleLimit: creationLife
            ),
            CollectionGauges(
                name: .killOutbox,
                entries: usage.outbox,
                limit: total,
                oldestIdle: usage.oldestKill,
                idleLimit: .seconds(600)
            ),
            CollectionGauges(
                name: .warmPool,
                entries: usage.warm,
                // As large as the target while all is well; only slots bound it.
                limit: total,
                oldestIdle: .zero,
                idleLimit: configuration.maxAge
            ),
            rateBuckets(),
            orphans(),
            CollectionGauges(
                name: .flightRecorder,
                entries: recorder.withLock { $0.count },
                limit: FlightRecorder.keyLimit,
                oldestIdle: .zero,
                idleLimit: configuration.maxAge
            ),
            CollectionGauges(
                name: .leaseCopies,
                entries: table.withLock { $0.count },
                limit: total,
                oldestIdle: .zero,
                idleLimit: configuration.maxAge
            ),
        ] + store.collections
    }

    private nonisolated func orphans() -> CollectionGauges {
        let now = runtime.time.now()
        let policy = configuration.reconciler
        return reconciliation.withLock { state in
            CollectionGauges(
                name: .orphans,
                entries: state.watch.count,
                limit: configuration.limits.total,
                oldestIdle: state.watch.oldest(now: now),
                // Killed in the first round after the grace.
                idleLimit: policy.grace + policy.interval * 2
            )
        }
    }

    private nonisolated func rateBuckets() -> CollectionGauges {
        let now = runtime.time.now()
        return rates.withLock { rates in
            // Asked first, as it removes what is full.
            let oldestIdle = rates.oldestIdle(now: now)
            return CollectionGauges(
                name: .rateBuckets,
                entries: rates.count,
                limit: configuration.creationRate.isEnabled ? CreationRateLimiter.bucketLimit : 0,
                oldestIdle: oldestIdle,
                idleLimit: rates.longestIdle
            )
        }
    }
}
