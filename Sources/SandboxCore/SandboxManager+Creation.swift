internal import Logging
internal import Synchronization

// Making a sandbox: reserve, create, commit. No slot, no create; no intent, no create; no epoch, no lease.

extension SandboxManager {
    /// How often a create of unknown outcome is looked up before it is left to the outbox worker.
    private static let lookupPauses: [Duration] = [.zero, .milliseconds(250), .seconds(1)]
    /// How much longer than a create an intent is kept before "not found" is believed.
    static let intentGrace: Duration = .seconds(30)

    struct Reservation {
        var token: CreationToken
        var epoch: Epoch
    }

    private enum Attempt {
        case made(ProviderSandbox)
        /// Surely nothing was made.
        case failed(ProviderError)
        /// Something may have been made and was not found; its intent stays. `isAbsent`: the provider was asked and
        /// knows of nothing.
        case lost(ProviderError, isAbsent: Bool)
    }

    /// What the provider says of a creation whose reply was lost.
    private enum Trace {
        case made(ProviderSandbox)
        case absent
        case unknown
    }

    func grantFromCreation(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ ticket: UserLockTable.Ticket,
        lookedUpFor known: Books
    ) async throws(ManagerError) -> Grant {
        try await measured(.create) { () async throws(ManagerError) in
            let deadline = runtime.time.now() + configuration.requestDeadline
            var schedule = RetrySchedule(
                retries: configuration.createRetries,
                baseDelay: configuration.createRetryDelay,
                deadline: deadline
            )
            var reservation: Reservation?
            var isFirst = true
            var books = known
            while true {
                let held: Reservation
                if let reservation {
                    held = reservation
                } else {
                    // A release that ran while the flight looked elsewhere has the last word (O7).
                    guard !locks.isFenced(key, ticket) else { throw .staleEpoch }
                    try refuseWhenCreationsStopped(key)
                    switch try await reserve(key, until: deadline) {
                    case .ours(let fresh):
                        // Other books than those that the key was looked up for: what they lack may run (I1).
                        guard booksInForce == books else {
                            try await abandon(key, fresh)
                            books = booksInForce
                            if let grant = try await lookUpAgain(key, ticket) { return grant }
                            continue
                        }
                        held = fresh
                    case .leased(let record):
                        if let grant = try await reconnect(record, ticket) { return grant }
                        continue
                    }
                }
                // Nothing was sent under this reservation that could still take effect: nobody needs it any more.
                guard !locks.isFenced(key, ticket) else {
                    try await abandon(key, held)
                    throw .staleEpoch
                }
                do throws(ManagerError) {
                    try await admitAttempt(key, isFirst: isFirst)
                } catch {
                    try await abandon(key, held)
                    throw error
                }
                let failure: ProviderError
                var mayRepeat = true
                switch await attempt(key, options, held, until: deadline) {
                case .made(let sandbox):
                    return try await commit(sandbox, key, options, held, ticket)
                case .failed(let error):
                    failure = learn(from: error, key, isFirst: isFirst)
                    reservation = held
                case .lost(let error, let isAbsent):
                    // Nothing is made again before it is known what became of this (O1).
                    mayRepeat = isAbsent
                    // Its slot stays taken until its fate is known; another attempt needs another slot (I2).
                    try await asked { () async throws(StoreError) in
                        try await store.detachIntent(key, token: held.token)
                    }
                    note(key, "create of unknown outcome: \(held.token)")
                    failure = learn(from: error, key, isFirst: isFirst)
                    reservation = nil
                }
                let isFenced = locks.isFenced(key, ticket)
                let isWanted = mayRepeat && !isFenced && !isDraining && !areCreationsStopped
                guard let pause = retryPause(&schedule, after: failure, isWanted: isWanted) else {
                    if let reservation { try await abandon(key, reservation) }
                    throw isFenced ? .staleEpoch : ManagerError(failure)
                }
                isFirst = false
                await runtime.time.sleep(for: pause)
            }
        }
    }

    /// The store was lost, or went away or came back, while somebody waited for it or for another replica.
    private func lookUpAgain(_ key: LeaseKey, _ ticket: UserLockTable.Ticket) async throws(ManagerError) -> Grant? {
        try await lookUpAtProvider(key)
        if let grant = try await grantFromStore(key, ticket) { return grant }
        await waitForListing()
        return nil
    }

    // MARK: Reserve

    enum Reserved {
        case ours(Reservation)
        case leased(LeaseRecord)
    }

    func reserve(_ key: LeaseKey, until deadline: MonotonicInstant) async throws(ManagerError) -> Reserved {
        try await phase(.reserve) { () async throws(ManagerError) in
            let token = CreationToken(from: runtime.random)
            let request = ReservationRequest(
                key: key,
                owner: configuration.owner,
                token: token,
                limits: configuration.limits,
                intentDeadline: configuration.requestDeadline + configuration.createTimeout + Self.intentGrace
            )
            let giveUp = min(deadline, runtime.time.now() + configuration.releaseWait)
            var pause: Duration = .milliseconds(20)
            var yielded: CreationToken?
            while true {
                let outcome = try await asked { () async throws(StoreError) in try await store.reserve(request) }
                let refusal: ManagerError
                switch outcome {
                case .reserved(let epoch):
                    note(key, "reserved, epoch \(epoch)")
                    return .ours(Reservation(token: token, epoch: epoch))
                case .leased(let record):
                    return .leased(record)
                case .reservedElsewhere:
                    refusal = .creationInProgress(retryAfter: .seconds(1))
                case .limited(let denial) where denial.isOnlyReleasing:
                    refusal = .releasing(retryAfter: denial.retryAfter)
                case .limited(let denial) where denial.scope == .total:
                    // A sandbox that nobody uses yet is no reason to refuse somebody.
                    yielded = await yieldedSlot(yielded)
                    guard yielded != nil else { throw refused(denial) }
                    refusal = .releasing(retryAfter: denial.retryAfter)
                case .limited(let denial):
                    throw refused(denial)
                }
                let patience = if case .releasing = refusal { giveUp } else { deadline }
                guard runtime.time.now() + pause < patience else { throw refusal }
                await runtime.time.sleep(for: pause)
                pause = min(pause * 2, .milliseconds(250))
            }
        }
    }

    private func refused(_ denial: LimitDenial) -> ManagerError {
        observer.limitRejected(denial.scope)
        counters.rejected.increment()
        return .limited(denial)
    }

    private func abandon(_ key: LeaseKey, _ reservation: Reservation) async throws(ManagerError) {
        try await asked { () async throws(StoreError) in try await store.abandon(key, token: reservation.token) }
    }

    // MARK: Create

    private func attempt(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ reservation: Reservation,
        until deadline: MonotonicInstant
    ) async -> Attempt {
        let order = CreateRequest(
            template: options.template ?? configuration.template,
            metadata: options.metadata,
            environment: options.environment,
            life: min(idleTimeout(options) + configuration.grace, configuration.maxAge),
            labels: SandboxLabels(
                key: key,
                token: reservation.token,
                environment: configuration.environment,
                epoch: reservation.epoch
            )
        )
        let limit = min(configuration.createTimeout, deadline - runtime.time.now())
        let made = await phase(.create) {
            await Result.catching { () async throws(ProviderError) in
                try await provider.create(order, timeout: limit)
            }
        }
        switch made {
        case .success(let sandbox):
            created(key, sandbox)
            return .made(sandbox)
        case .failure(let error) where error.effect == .none:
            note(key, "create failed: \(error.detail)")
            return .failed(error)
        case .failure(let error):
            switch await find(key, reservation.token) {
            case .absent: return .lost(error, isAbsent: true)
            case .unknown: return .lost(error, isAbsent: false)
            case .made(let sandbox):
                created(key, sandbox)
                observer.ambiguityResolved(.adopted)
                note(key, "adopted after a lost reply: \(sandbox.id)")
                return .made(sandbox)
            }
        }
    }

    /// Looks a creation up by its token, a few times, as a sandbox may show up late. Only a sandbox of the key's own is
    /// adopted (I5); a second one under the same token is condemned (I3).
    private func find(_ key: LeaseKey, _ token: CreationToken) async -> Trace {
        var isAbsent = false
        for pause in Self.lookupPauses {
            await runtime.time.sleep(for: pause)
            let listed = await Result.catching { () async throws(ProviderError) in
                try await provider.list(.token(token, environment: configuration.environment))
            }
            guard case .success(let all) = listed else {
                isAbsent = false
                continue
            }
            let ours = all.filter { found in
                let isOurs = isOwned(found, by: key)
                if !isOurs { observer.ownershipMismatched() }
                return isOurs
            }
            isAbsent = ours.isEmpty
            guard let id = ours.first?.sandbox.id else { continue }
            // A listing has no access tokens; without them nobody can use the sandbox.
            let info = await Result.catching { () async throws(ProviderError) in try await provider.info(id) }
            guard let sandbox = (try? info.get())??.sandbox else { continue }
            for surplus in ours.dropFirst() { await condemn(surplus.sandbox.id, key) }
            return .made(sandbox)
        }
        return isAbsent ? .absent : .unknown
    }

    /// Puts a sandbox that holds no slot into the outbox; if the store cannot be asked, its own timeout ends it.
    func condemn(_ sandbox: SandboxID, _ key: LeaseKey) async {
        note(key, "a second sandbox of one creation is killed: \(sandbox)")
        try? await store.enqueueKill(KillTicket(sandbox: sandbox, token: nil, key: key, reason: .orphan))
    }

    private func created(_ key: LeaseKey, _ sandbox: ProviderSandbox) {
        observer.sandboxCreated(for: .acquire)
        counters.created.increment()
        note(key, "created: \(sandbox.id)")
    }

    // MARK: Commit

    private func commit(
        _ sandbox: ProviderSandbox,
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ reservation: Reservation,
        _ ticket: UserLockTable.Ticket
    ) async throws(ManagerError) -> Grant {
        let record = LeaseRecord(
            key: key,
            epoch: reservation.epoch,
            token: reservation.token,
            sandbox: sandbox,
            createdAt: runtime.time.wallNow(),
            age: .zero,
            idle: .zero,
            idleTimeout: idleTimeout(options)
        )
        var lease = Lease(record, now: runtime.time.now())
        lease.vouchedIn = table.withLock { $0.trustRound }
        let epoch = try await phase(.commit) { () async throws(ManagerError) in
            try await asked { () async throws(StoreError) in try await store.commit(record) }
        }
        guard let epoch else {
            // A release came in between: the late sandbox is already in the outbox, with its slot (O7).
            let fenced = KillTicket(sandbox: sandbox.id, token: reservation.token, key: key, reason: .fenced)
            ended(fenced, .fenced, created: lease.created)
            throw .staleEpoch
        }
        lease.epoch = epoch
        do throws(ManagerError) {
            try admit(lease, ticket)
        } catch {
            // The release reached the store before the reservation did: nobody was told of this sandbox.
            try await end(lease, .fenced)
            throw error
        }
        log.info("created a sandbox", metadata: ["key": "\(key)", "sandbox": "\(sandbox.id)"])
        return grant(lease, .created)
    }

    private func idleTimeout(_ options: AcquireOptions) -> Duration {
        options.idleTimeout ?? configuration.idleTimeout
    }
}

extension LimitDenial {
    /// Whether the user would be let in, were their own dying sandboxes gone.
    var isOnlyReleasing: Bool { releasing > 0 && inUse - releasing < limit }
}
