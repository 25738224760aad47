internal import Logging
internal import Synchronization

// The background loops. Each round bounds its own waits; none holds anything but one key's lock across a call.

extension SandboxManager {
    /// The most that one round of a loop takes on.
    private static let batch = 256
    /// How many kills a round tries while the provider fails.
    private static let probes = 2
    /// How many repeated kills may be under way at once.
    private static let killsAtOnce = 32
    /// How long a round of the outbox worker waits for its kills.
    private static let killPatience: Duration = .seconds(2)

    /// Runs all loops until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.store.run() }
            group.addTask { await self.recover() }
            group.addTask { await self.tellUses() }
            for (loop, interval) in Self.loops(of: configuration) {
                group.addTask { await self.turn(loop, every: interval) }
            }
        }
    }

    /// The loops that run, and how often.
    static func loops(of configuration: ManagerConfiguration) -> [LoopName: Duration] {
        [
            .reaper: configuration.reaperInterval,
            .outbox: configuration.outboxInterval,
            .extender: configuration.extenderInterval,
            .reconciler: configuration.reconciler.interval,
            .poolFiller: PoolSchedule.interval,
        ]
    }

    private func turn(_ loop: LoopName, every interval: Duration) async {
        while !Task.isCancelled {
            await runtime.time.sleep(for: interval)
            guard !Task.isCancelled else { return }
            await round(loop)
        }
    }

    /// One round of a loop, counted. Public so that tests and drills can turn the crank.
    @discardableResult
    public func round(_ loop: LoopName) async -> LoopResult {
        let start = runtime.time.now()
        let result: LoopResult
        do throws(ManagerError) {
            let tally =
                switch loop {
                case .reaper: try await reap()
                case .outbox: try await workOutbox()
                case .extender: try await extendUsed()
                case .reconciler: try await reconcile()
                case .poolFiller: try await fillPool()
                }
            observer.loopItems(loop, .scanned, count: tally.scanned)
            observer.loopItems(loop, .acted, count: tally.acted)
            observer.loopItems(loop, .failed, count: tally.failed)
            result = tally.failed == 0 ? .ok : .partial
        } catch {
            log.error(
                "a loop's round failed",
                metadata: ["loop": "\(loop.rawValue)", "reason": "\(error.reason.rawValue)"]
            )
            result = .failed
        }
        if result != .failed { loopSuccesses.withLock { $0[loop] = runtime.time.wallNow() } }
        observer.loopRan(loop, result, took: runtime.time.now() - start, at: runtime.time.wallNow())
        return result
    }

    /// What a round did.
    struct Tally {
        var scanned = 0
        var acted = 0
        var failed = 0

        /// An item that was acted on, or where that failed.
        mutating func count(_ succeeded: Bool) {
            if succeeded { acted += 1 } else { failed += 1 }
        }

        static func += (sum: inout Tally, other: Tally) {
            sum.scanned += other.scanned
            sum.acted += other.acted
            sum.failed += other.failed
        }
    }

    // MARK: Reaper

    /// Ends leases that are idle or past their expiry. Decides under the key's lock, by epoch and last use (I7, K1,
    /// K2).
    private func reap() async throws(ManagerError) -> Tally {
        guard !configuration.faults.contains(.reaperFailure) else { throw .internal("fault reaper-failure") }
        // First what this process knows of uses: a lease in use must not look idle to the store.
        try await flushUses()
        let due = try await asked { () async throws(StoreError) in try await store.dueLeases(limit: Self.batch) }
        var tally = Tally(scanned: due.count)
        for item in due {
            // Locked means in use; it comes up again.
            guard let ticket = locks.tryHold(item.record.key, for: .reap) else { continue }
            defer { locks.finish(item.record.key, ticket) }
            let ended = try? await measured(.reap) { () async throws(ManagerError) in try await reap(item) }
            switch ended {
            case true: tally.acted += 1
            case false: break
            case nil: tally.failed += 1
            }
        }
        return tally
    }

    private func reap(_ due: DueLease) async throws(ManagerError) -> Bool {
        let record = due.record
        let now = runtime.time.now()
        if due.reason == .idle {
            // Re-checked against memory under the same mutex that the hot path uses, and removed in the same breath:
            // from here on nobody is handed this lease.
            let isStillIdle = table.withLock { table in
                guard table[record.key]?.epoch == record.epoch else { return table[record.key] == nil }
                guard table.isIdle(record.key, epoch: record.epoch, now: now) else { return false }
                table.remove(record.key, epoch: record.epoch)
                return true
            }
            guard isStillIdle else { return false }
        } else {
            // It may have been extended or resumed since: both the store and memory must still say so.
            guard try await isExpired(record), removeExpired(record) else { return false }
        }
        let reason: KillReason = record.key.isWarm ? .warmExpired : due.reason
        let ticket = try await asked { () async throws(StoreError) in
            try await store.end(
                record.key,
                epoch: record.epoch,
                idleFor: due.reason == .idle ? record.idleTimeout : nil,
                reason: reason
            )
        }
        guard let ticket else { return false }
        log.info(
            "reaped a lease",
            metadata: ["key": "\(record.key)", "reason": "\(due.reason.rawValue)"]
        )
        ended(ticket, reason, created: now - record.age)
        return true
    }

    /// Whether the store holds the same lease, still past its expiry.
    private func isExpired(_ record: LeaseRecord) async throws(ManagerError) -> Bool {
        guard
            case .lease(let current) = try await asked({ () async throws(StoreError) in
                try await store.lookup(record.key)
            })
        else { return false }
        return current.epoch == record.epoch && current.sandbox.remainingLife <= .zero
    }

    /// Takes an expired lease out of memory.
    ///
    /// - Returns: `false` if memory knows better, and nothing was done.
    private func removeExpired(_ record: LeaseRecord) -> Bool {
        let now = runtime.time.now()
        return table.withLock { table in
            guard let lease = table[record.key], lease.epoch == record.epoch else { return true }
            guard lease.remoteExpiry <= now else { return false }
            table.remove(record.key, epoch: record.epoch)
            return true
        }
    }

    // MARK: Outbox worker

    /// Repeats kills until they are confirmed, and finds out what became of creates whose reply was lost.
    private func workOutbox() async throws(ManagerError) -> Tally {
        let claim = configuration.killTimeout + .seconds(5)
        let breaker = provider.breakerState()
        // Kills are never held back, but a provider that fails is not stormed with them either.
        let room = max(0, Self.killsAtOnce - repeatedKills.load(ordering: .relaxed))
        let killLimit = min(breaker == .open ? Self.probes : Self.batch, room)
        let kills = try await asked { () async throws(StoreError) in
            try await store.dueKills(limit: killLimit, claim: claim)
        }
        // Lookups are what the breaker refuses; half open, one of them is the trial.
        let lookupLimit = breaker == .closed ? Self.batch : breaker == .halfOpen ? 1 : 0
        let intents =
            lookupLimit == 0
            ? []
            : try await asked { () async throws(StoreError) in
                try await store.dueIntents(limit: lookupLimit, claim: .seconds(5))
            }
        var tally = Tally(scanned: kills.count + intents.count)
        // A kill that hangs goes on by itself: the next ones are not kept waiting for its own limit (T1).
        let patience = runtime.time.now() + Self.killPatience
        for done in await inParallel(kills, width: kills.count, { await self.repeatKill($0, until: patience) }) {
            if let done { tally.count(done) }
        }
        for done in await inParallel(intents, { await self.resolve($0) }) {
            if done { tally.acted += 1 }
        }
        return tally
    }

    /// - Returns: Whether the intent is closed.
    private func resolve(_ intent: Intent) async -> Bool {
        let resolved = try? await measured(.reconcile) { () async throws(ManagerError) -> Bool in
            let infos = try await called { () async throws(ProviderError) in
                try await provider.list(.token(intent.token, environment: configuration.environment))
            }
            // A pool member whose maker died is not worth taking over.
            if intent.isHeld, !intent.key.isWarm { return try await takeOver(intent, infos) }
            // Whatever carries another owner's labels is not ours to kill, token or not (I5).
            let found = infos.filter { isOwned($0, by: intent.key) }.map(\.sandbox.id)
            // A sandbox may show up late: absence counts only after every way to appear has closed.
            let isFinal = intent.age >= configuration.createTimeout + Self.intentGrace
            guard !found.isEmpty || isFinal else { return false }
            try await asked { () async throws(StoreError) in try await store.resolveIntent(intent, found: found) }
            observer.ambiguityResolved(found.isEmpty ? .absent : .killed)
            note(intent.key, found.isEmpty ? "a lost create made nothing" : "a lost create is killed: \(found[0])")
            return true
        }
        return resolved ?? false
    }

    // MARK: Extender

    /// Moves the expiry of leases that were used since it was last moved.
    private func extendUsed() async throws(ManagerError) -> Tally {
        let now = runtime.time.now()
        let needing = copies { [configuration] table, lease in
            table.needsExtension(lease, to: lease.idleTimeout + configuration.grace, now: now)
        }
        var tally = Tally(scanned: needing.count)
        let moved = await inParallel(needing) { lease in
            let outcome = try? await self.measured(.extend) { () async throws(ManagerError) in
                try await self.extend(lease)
            }
            return outcome == .moved
        }
        for isMoved in moved { tally.count(isMoved) }
        return tally
    }
}
