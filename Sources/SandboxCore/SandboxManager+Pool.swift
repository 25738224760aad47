internal import Logging
internal import Synchronization

// Filling the warm pool. A member is the lease of a key that no caller has, so that slots, intents, fencing, expiry and
// outbox hold for it as they are; a claim makes it the lease of somebody's key in one step of the store.

extension SandboxManager {
    /// Nobody uses a member, so it never lies idle too long: its remote expiry or the filler ends it.
    private static let neverIdle: Duration = .seconds(365 * 86_400)

    /// A round of the pool filler: begins what is missing and may be begun now, and looks after what is there.
    func fillPool() async throws(ManagerError) -> Tally {
        let now = runtime.time.now()
        let usage = store.usage()
        // Creations go on beside the rounds; each round tells of those that failed since the last.
        var tally = Tally(scanned: usage.warm, failed: pool.withLock { $0.takeFailures() })
        guard store.mode != .degraded, isKnowledgeComplete, !isDraining, !areCreationsStopped else {
            return tally
        }
        let pause = min(Duration.seconds(10), configuration.idleTimeout / 4)
        if usage.warm > 0, pool.withLock({ $0.isUpkeepDue(every: pause, now: now) }) { try await keepUp(&tally) }
        guard provider.breakerState() != .open, pacer.withLock({ $0.refusal(now: now) }) == nil else { return tally }
        let missing = configuration.warmPool.target - usage.warm - usage.warmPending
        let wanted = min(missing, configuration.limits.total - usage.slots)
        guard wanted > 0 else { return tally }
        for _ in 0..<pool.withLock({ $0.begin(wanted, now: now) }) {
            tally.acted += 1
            runtime.spawner.spawn("fill") { await self.fill() }
        }
        return tally
    }

    // MARK: Making members

    private func fill() async {
        let outcome = await Result.catching { () async throws(ManagerError) in
            try await measured(.fill) { () async throws(ManagerError) in try await makeMember() }
        }
        let now = runtime.time.now()
        switch outcome {
        case .success(true): pool.withLock { $0.succeeded() }
        case .success(false): break
        case .failure(let error):
            pool.withLock { $0.failed(now: now) }
            log.warning(
                "a sandbox for the warm pool could not be made",
                metadata: ["reason": "\(error.reason.rawValue)"]
            )
        }
    }

    /// - Returns: `false` if there is no room for another one, or the one made was not wanted any more.
    private func makeMember() async throws(ManagerError) -> Bool {
        guard !isDraining else { return false }
        let token = CreationToken(from: runtime.random)
        let key = LeaseKey(warm: token, template: configuration.template)
        let request = ReservationRequest(
            key: key,
            owner: configuration.owner,
            token: token,
            // The pool as a whole is the user of these keys: so replicas together never make more than wanted.
            limits: SlotLimits(perUser: configuration.warmPool.target, total: configuration.limits.total),
            intentDeadline: configuration.createTimeout + Self.intentGrace
        )
        let reserved = try await asked { () async throws(StoreError) in try await store.reserve(request) }
        guard case .reserved(let epoch) = reserved else { return false }
        let order = CreateRequest(
            template: configuration.template,
            metadata: [:],
            environment: [:],
            life: min(configuration.idleTimeout + configuration.grace, configuration.maxAge),
            labels: SandboxLabels(key: key, token: token, environment: configuration.environment, epoch: epoch)
        )
        let made = await Result.catching { () async throws(ProviderError) in
            try await provider.create(order, timeout: configuration.createTimeout)
        }
        switch made {
        case .success(let sandbox):
            observer.sandboxCreated(for: .warmPool)
            counters.created.increment()
            return try await addMember(sandbox, key, token, epoch)
        case .failure(let error):
            let now = runtime.time.now()
            pacer.withLock { $0.refused(error, now: now) }
            try await asked { () async throws(StoreError) in
                if error.effect == .none {
                    try await store.abandon(key, token: token)
                } else {
                    // Whatever it made is found by its token, and killed.
                    try await store.detachIntent(key, token: token)
                }
            }
            throw ManagerError(error)
        }
    }

    private func addMember(
        _ sandbox: ProviderSandbox,
        _ key: LeaseKey,
        _ token: CreationToken,
        _ epoch: Epoch
    ) async throws(ManagerError) -> Bool {
        let member = LeaseRecord(
            key: key,
            epoch: epoch,
            token: token,
            sandbox: sandbox,
            createdAt: runtime.time.wallNow(),
            age: .zero,
            idle: .zero,
            idleTimeout: Self.neverIdle
        )
        let committed = try await asked { () async throws(StoreError) in try await store.commit(member) }
        guard committed == nil else { return true }
        // Given up meanwhile: the sandbox is in the outbox, with its slot.
        let fenced = KillTicket(sandbox: sandbox.id, token: token, key: key, reason: .fenced)
        ended(fenced, .fenced, created: runtime.time.now())
        return false
    }

    // MARK: Looking after members

    private func keepUp(_ tally: inout Tally) async throws(ManagerError) {
        let page = try await asked { () async throws(StoreError) in
            try await store.list(user: LeaseKey.warmUser, limit: 1000, after: nil)
        }
        let upkeep = PoolUpkeep(page.leases, configuration)
        let ended = await inParallel(upkeep.ending) { member in (try? await self.endMember(member)) != nil }
        let extended = await inParallel(upkeep.extending) { member in
            let outcome = await Result.catching { () async throws(ManagerError) in
                try await self.measured(.extend) { () async throws(ManagerError) in
                    try await self.extendMember(member)
                }
            }
            if case .success = outcome { return true }
            return false
        }
        for isDone in ended + extended { tally.count(isDone) }
    }

    /// - Returns: Whether it was still a member.
    @discardableResult
    private func endMember(_ member: LeaseRecord) async throws(ManagerError) -> Bool {
        let ticket = try await asked { () async throws(StoreError) in
            try await store.end(member.key, epoch: member.epoch, idleFor: nil, reason: .warmExpired)
        }
        guard let ticket else { return false }
        ended(ticket, .warmExpired, created: runtime.time.now() - member.age)
        return true
    }

    /// Moves a member's expiry. Should it be claimed meanwhile, that does no harm: see ``suitsPool(_:)``.
    private func extendMember(_ member: LeaseRecord) async throws(ManagerError) {
        let life = min(configuration.idleTimeout + configuration.grace, configuration.maxAge - member.age)
        let granted: Duration
        do throws(ProviderError) {
            granted = try await provider.extend(member.sandbox.id, life: life)
        } catch {
            guard error.kind == .gone else { throw ManagerError(error) }
            // No proof of death: the outbox asks for one.
            try await endMember(member)
            return
        }
        _ = try await asked { () async throws(StoreError) in
            try await store.extend(member.key, epoch: member.epoch, remaining: granted)
        }
    }

    // MARK: Yielding

    /// Ends a member, so that somebody whom the total limit refused gets its slot.
    ///
    /// - Parameter known: The slot of the member that was ended for them before. Once it is free somebody else was faster,
    ///   and another member has to end.
    /// - Returns: The slot that is on its way; `nil` if there is no member to end.
    func yieldedSlot(_ known: CreationToken?) async -> CreationToken? {
        if let known, (try? await store.isTaken(known)) != false { return known }
        guard store.usage().warm > 0 else { return nil }
        let members = try? await store.list(user: LeaseKey.warmUser, limit: 16, after: nil)
        for member in members?.leases ?? [] {
            // One that somebody else claims or ends in this moment is no help.
            if (try? await endMember(member)) == true { return member.token }
        }
        return nil
    }
}
