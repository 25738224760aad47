internal import Logging
internal import Synchronization

// The flight of an acquire: memory, then store, then creation. It holds the key's user lock all the way.

extension SandboxManager {
    func fly(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ ticket: UserLockTable.Ticket
    ) async throws(ManagerError) -> Grant {
        // Whoever waited for the lock when the drain began starts nothing new (O8).
        try refuseWhenDraining()
        // What another replica ends while this flight reads it must not be put into memory afterwards (I1).
        table.withLock { $0.watch(key) }
        defer { table.withLock { $0.unwatch(key) } }
        if let grant = try await grantFromMemory(key, ticket) { return grant }
        table.withLock { $0.readsAnew(key) }
        if let grant = try await grantFromStore(key, ticket) { return grant }
        let books = booksInForce
        if !isKnowledgeComplete {
            try await lookUpAtProvider(key)
            if let grant = try await grantFromStore(key, ticket) { return grant }
            await waitForListing()
        }
        if let grant = try await grantFromPool(key, options, ticket) { return grant }
        return try await grantFromCreation(key, options, ticket, lookedUpFor: books)
    }

    // MARK: Memory

    /// The lease that this process knows, probed unless it is fresh; `nil` when there is none any more.
    func grantFromMemory(_ key: LeaseKey, _ ticket: UserLockTable.Ticket) async throws(ManagerError) -> Grant? {
        let known = table.withLock { $0[key] }
        countMemory(hit: known != nil)
        guard let known, try await isStillLeased(known) else { return nil }
        let now = runtime.time.now()
        let (freshness, current, isTooOld) = table.withLock { table in
            let freshness = table.handOutIfFresh(key, isChecked: true, now: now)
            let lease = table[key]
            return (freshness, lease, lease.map { table.isTooOld($0, now: now) } ?? false)
        }
        if case .fresh(let lease, let probeBehind) = freshness {
            if probeBehind { runtime.spawner.spawn("probe behind") { await self.probeBehind(lease) } }
            return grant(lease, .memory)
        }
        guard let lease = current else { return nil }
        if !isTooOld, lease.remoteExpiry <= now, store.mode == .degraded {
            // Another replica may have moved the end; without the store only the provider knows (I7).
            drop(lease)
            return try await reconnect(lease.record(now: now), ticket)
        }
        if isTooOld || lease.remoteExpiry <= now {
            try await end(lease, .expired)
            return nil
        }
        if lease.isPaused { return try await connect(lease).map { grant($0, .verified) } }
        return try await verify(lease).map { grant($0, .verified) }
    }

    /// Holds a copy against the store where it has to be; one that the store does not know any more is dropped.
    func isStillLeased(_ lease: Lease) async throws(ManagerError) -> Bool {
        let now = runtime.time.now()
        let (needsStore, round) = table.withLock { ($0.needsStore(lease, now: now), $0.trustRound) }
        guard needsStore else { return true }
        let entry: StoreEntry?
        do throws(StoreError) {
            entry = try await phase(.storeLookup) { () async throws(StoreError) in try await store.lookup(lease.key) }
        } catch {
            // Without the store, memory is all there is; it serves until the sandbox's own end.
            return lease.remoteExpiry > runtime.time.now()
        }
        guard case .lease(let record) = entry, record.epoch == lease.epoch else {
            drop(lease)
            return false
        }
        table.withLock { $0.vouch(for: record, round: round, now: runtime.time.now()) }
        return true
    }

    /// Probes a lease in the foreground; `nil` when it is gone or was given up.
    func verify(_ lease: Lease) async throws(ManagerError) -> Lease? {
        let verdict = await phase(.healthCheck) { await provider.health(lease.sandbox) }
        switch await decide(lease, verdict) {
        case .alive:
            let now = runtime.time.now()
            // After the wait the lease may be another's business: then nobody is handed this one.
            guard table.withLock({ $0.recordUse(lease.key, epoch: lease.epoch, now: now) }) != nil else { return nil }
            await tellUse(of: lease)
            return table.withLock { $0.recordUse(lease.key, epoch: lease.epoch, now: now) }
        case nil:
            return nil
        case .gone:
            try await forget(lease)
            return nil
        case .resume:
            return try await connect(lease)
        case .replace:
            try await end(lease, .unhealthy)
            return nil
        case .keep(let error), .doubt(let error):
            throw error
        }
    }

    /// A lease that lay idle is used again: the store hears of it at once, so that no other replica reaps it (I7).
    /// Should that fail, the reaper's next round tells of it.
    func tellUse(of lease: Lease) async {
        try? await store.touch([LeaseUse(key: lease.key, epoch: lease.epoch, age: .zero)])
    }

    /// Attaches to a paused sandbox with an explicit life (T7).
    ///
    /// - Returns: The lease; `nil` if the store holds it, but the word of another replica dropped this copy meanwhile.
    func connect(_ lease: Lease) async throws(ManagerError) -> Lease? {
        let life = life(of: lease)
        let outcome = await phase(.connect) {
            await Result.catching { () async throws(ProviderError) in
                try await provider.connect(lease.sandbox.id, life: life)
            }
        }
        switch outcome {
        case .success(var connected):
            connected.sandbox.envdAccessToken = connected.sandbox.envdAccessToken ?? lease.sandbox.envdAccessToken
            connected.sandbox.trafficAccessToken =
                connected.sandbox.trafficAccessToken ?? lease.sandbox.trafficAccessToken
            let now = runtime.time.now()
            let remaining = connected.sandbox.remainingLife
            // Told first: from the moment it is paused no longer, its time there looks idle to every other reaper (I7).
            await tellUse(of: lease)
            let isRecorded = try await asked { () async throws(StoreError) in
                try await store.setPaused(lease.key, epoch: lease.epoch, paused: false, remaining: remaining)
            }
            let current = table.withLock { $0.connected(lease.key, epoch: lease.epoch, connected, now: now) }
            guard isRecorded else {
                drop(lease)
                throw .staleEpoch
            }
            note(lease.key, connected.resumed ? "resumed" : "connected")
            return current
        case .failure(let error) where error.kind == .gone:
            try await forget(lease)
            throw .gone
        case .failure(let error):
            throw ManagerError(error)
        }
    }

    // MARK: Store

    /// A lease that was made elsewhere or before: checked at the provider, owner included, before it is handed out.
    func grantFromStore(_ key: LeaseKey, _ ticket: UserLockTable.Ticket) async throws(ManagerError) -> Grant? {
        let round = table.withLock { $0.trustRound }
        let entry = try await phase(.storeLookup) { () async throws(ManagerError) in
            try await asked { () async throws(StoreError) in try await store.lookup(key) }
        }
        switch entry {
        case .lease(let record):
            return try await reconnect(record, ticket, vouchedIn: round)
        case .unverified(let sandbox):
            guard let record = try await claimUnverified(sandbox, key) else { return nil }
            return try await reconnect(record, ticket, vouchedIn: round)
        case .reservation, nil:
            return nil
        }
    }

    /// Takes a lease that the store knows into memory, once the provider's word and a probe are good.
    ///
    /// - Parameters:
    ///   - record: The lease, as just read.
    ///   - ticket: The flight's hold on the key.
    ///   - round: The round of trust in which the record was read; the present one if `nil`.
    /// - Returns: `nil` if it is gone or another's: something else has to be tried.
    /// - Throws: When nobody can say, or somebody ended it meanwhile.
    func reconnect(
        _ record: LeaseRecord,
        _ ticket: UserLockTable.Ticket,
        vouchedIn round: Int? = nil
    ) async throws(ManagerError) -> Grant? {
        // Its ages count from when the record was read.
        var lease = Lease(record, now: runtime.time.now())
        lease.vouchedIn = round ?? table.withLock { $0.trustRound }
        // Nobody is handed it before a probe ended well.
        lease.isSuspect = true
        let found = try await called { () async throws(ProviderError) in try await provider.info(record.sandbox.id) }
        switch found {
        case nil:
            try await forget(lease)
            return nil
        case let info?:
            guard isOwned(info, by: record.key, record.token) else {
                observer.ownershipMismatched()
                log.error("a stored sandbox carries another owner's labels", metadata: ["key": "\(record.key)"])
                note(record.key, "owner mismatch: the sandbox is not touched")
                _ = try await asked { () async throws(StoreError) in
                    try await store.forget(record.key, epoch: record.epoch)
                }
                return nil
            }
            lease.isPaused = info.state == .paused
            if !lease.isPaused {
                let now = runtime.time.now()
                lease.remoteExpiry = now + info.sandbox.remainingLife
                // Resumed since it was made: only the provider knows when. It can make the lease younger, never older.
                lease.runningSince = min(now, max(lease.created, now - (runtime.time.wallNow() - info.startedAt)))
            }
            lease.sandbox.envdAccessToken = info.sandbox.envdAccessToken ?? lease.sandbox.envdAccessToken
        }
        let seen = lease
        guard !table.withLock({ $0.isTooOld(seen, now: runtime.time.now()) }) else {
            try await end(lease, .expired)
            return nil
        }
        try admit(lease, ticket)
        let verified = lease.isPaused ? try await connect(lease) : try await verify(lease)
        return verified.map { grant($0, .reconnected) }
    }

    /// Whether the labels name the key; a sandbox without our labels is believed to be what the store says (I5).
    ///
    /// Labels cannot be changed, so a sandbox from the warm pool goes on naming the pool. It is the key's only if the
    /// store says so under that very creation.
    func isOwned(_ info: SandboxInfo, by key: LeaseKey, _ token: CreationToken? = nil) -> Bool {
        if let labels = info.labels { return labels.key == key || (labels.key.isWarm && labels.token == token) }
        let user = info.metadata["user_id"] ?? key.user
        let project = info.metadata["project_id"] ?? key.project
        return user == key.user && project == key.project
    }

    /// Puts a lease into the table unless the flight was fenced: a release that ran meanwhile has the last word.
    func admit(_ lease: Lease, _ ticket: UserLockTable.Ticket) throws(ManagerError) {
        // Another replica may have ended it since it was read.
        guard table.withLock({ $0.insert(lease) }) else { throw .staleEpoch }
        // Insert, then look: whoever fences does it before removing, so one of the two sees the other.
        guard !locks.isFenced(lease.key, ticket) else {
            table.withLock { _ = $0.remove(lease.key, epoch: lease.epoch) }
            throw .staleEpoch
        }
    }

    // MARK: Endings

    /// The store says that the lease is over: memory must not hand it out any more (I1).
    func drop(_ lease: Lease) {
        table.withLock { _ = $0.remove(lease.key, epoch: lease.epoch) }
    }

    /// The sandbox is confirmed absent: lease and slot are gone (I4).
    func forget(_ lease: Lease) async throws(ManagerError) {
        table.withLock { _ = $0.remove(lease.key, epoch: lease.epoch) }
        let wasThere = try await asked { () async throws(StoreError) in
            try await store.forget(lease.key, epoch: lease.epoch)
        }
        guard wasThere else { return }
        note(lease.key, "gone: \(lease.sandbox.id)")
        if !lease.key.isWarm { observer.leaseEnded(.gone, after: runtime.time.now() - lease.created) }
    }

    /// The lease ends and its sandbox goes to the outbox.
    func end(_ lease: Lease, _ reason: KillReason) async throws(ManagerError) {
        table.withLock { _ = $0.remove(lease.key, epoch: lease.epoch) }
        let ticket = try await asked { () async throws(StoreError) in
            try await store.end(lease.key, epoch: lease.epoch, idleFor: nil, reason: reason)
        }
        guard let ticket else { return }
        ended(ticket, reason, created: lease.created)
    }

    /// Books the end of a lease and starts the kill.
    func ended(_ ticket: KillTicket, _ reason: KillReason, created: MonotonicInstant) {
        // A pool member was nobody's lease.
        if ticket.key?.isWarm != true { observer.leaseEnded(reason.leaseEnd, after: runtime.time.now() - created) }
        if let key = ticket.key { note(key, "ended (\(reason.rawValue)): \(ticket.sandbox)") }
        runtime.spawner.spawn("kill") { _ = await self.kill(ticket) }
    }

    /// How long the sandbox of a lease may live by itself, counted from now: never past the lease's greatest age.
    func life(of lease: Lease) -> Duration {
        let now = runtime.time.now()
        let start = lease.isPaused ? now : lease.runningSince
        let rest = start + configuration.maxAge - now
        return max(.seconds(1), min(lease.idleTimeout + configuration.grace, rest))
    }

    /// Calls the provider; its failure becomes the manager's.
    nonisolated func called<Value>(
        _ call: () async throws(ProviderError) -> Value
    ) async throws(ManagerError) -> Value {
        do throws(ProviderError) {
            return try await call()
        } catch {
            throw ManagerError(error)
        }
    }

    /// Asks the store; its failure becomes the manager's.
    nonisolated func asked<Value>(
        _ question: () async throws(StoreError) -> Value
    ) async throws(ManagerError) -> Value {
        do throws(StoreError) {
            return try await question()
        } catch {
            throw .storeUnavailable(error.detail)
        }
    }
}

extension KillReason {
    /// The reason as the end of a lease.
    var leaseEnd: LeaseEndReason {
        switch self {
        case .released: .released
        case .idle: .idle
        case .expired, .warmExpired: .expired
        case .orphan, .fenced: .fenced
        case .unhealthy: .unhealthy
        case .shutdown: .shutdown
        }
    }
}
