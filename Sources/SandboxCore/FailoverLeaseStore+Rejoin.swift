internal import Logging
internal import Synchronization

// Away and back: what changes hands when the shared store goes, comes back, or comes back empty.

extension FailoverLeaseStore {
    /// Looks at the shared store again and again, and listens to it, until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [shared] in await shared.listen() }
            while !Task.isCancelled {
                await beat()
                await runtime.time.sleep(for: Self.beatInterval)
            }
            group.cancelAll()
        }
    }

    /// One look at the shared store. Public so that tests can turn the crank.
    public func beat() async {
        let isAttached = state.withLock { state in
            state.journal.prune(now: runtime.time.now())
            if case .attached = state.standing { return true }
            return false
        }
        guard isAttached else { return await rejoin(afterLoss: false) }
        do throws(StoreError) {
            try await shared.beat()
        } catch {
            switch error.kind {
            case .cancelled: break
            case .lost: await rejoin(afterLoss: true)
            // One that refuses even to be told that this process lives is of no use.
            case .unreachable, .refused: detach(because: error)
            }
        }
    }

    /// The shared store's word on what other replicas did.
    func hear(_ notice: StoreNotice) {
        switch notice {
        case .ended(let key, let epoch):
            client?.leaseEnded(key, upTo: epoch)
        case .deaf, .listening:
            let isAttached = state.withLock { state in
                state.hearsEndings = notice == .listening
                if case .attached = state.standing { return true }
                return false
            }
            if isAttached { client?.trustChanged(to: notice == .listening ? .onceChecked : .never) }
        }
    }

    // MARK: Away

    /// From now on without the shared store. Does nothing if it is away already.
    func detach(because error: StoreError) {
        let now = runtime.time.now()
        let known = client?.leasesInMemory() ?? []
        let hasChanged = state.withLock { state in
            switch state.standing {
            case .away, .merging: return false
            case .attached, .starting: break
            }
            let isFirst = state.incarnation == nil
            if case .degrade = policy {
                state.standing = .away(books(of: known, isFirst: isFirst, journal: state.journal))
            } else {
                state.standing = .away(nil)
            }
            state.awaySince = state.awaySince ?? now
            return true
        }
        guard hasChanged else { return }
        client?.trustChanged(to: .always)
        log.warning(
            "the store is away",
            metadata: [
                "store_mode": "\(StoreMode.degraded.rawValue)", "because": "\(error.detail)",
                "creates": "\(policy == .refuse ? "refused" : "go on, with this replica's share of the limits")",
            ]
        )
        resumeWaiting()
    }

    /// Books that begin with what this process knows: its leases, its creations under way, what is dying.
    private func books(of known: [LeaseRecord], isFirst: Bool, journal: StoreJournal) -> AloneBooks {
        let store = MemoryLeaseStore(time: runtime.time, claim: claim)
        for record in known { _ = store.restore(record) }
        for creation in journal.creations.values where creation.state != .abandoned {
            store.restore(
                RestoredIntent(request: creation.request, epoch: creation.epoch, isHeld: creation.state == .held)
            )
        }
        for death in journal.deaths.values where !death.isConfirmed { store.restore(death.ticket, isDead: false) }
        return AloneBooks(store: store, known: Set(known.map(\.sandbox.id)))
    }

    // MARK: Back

    /// Tells the shared store what it lacks, and goes back to it; stays away if that fails.
    ///
    /// - Parameter afterLoss: Whether it answered, but as another one.
    func rejoin(afterLoss: Bool) async {
        let before = state.withLock { state -> Standing? in
            // Once is enough, whoever noticed; and a loss is made good by whoever was first.
            guard !state.isMerging else { return nil }
            let before = state.standing
            switch before {
            case .attached:
                guard afterLoss else { return nil }
                // It would say the same to everybody.
                state.standing = .merging
            case .starting, .away: guard !afterLoss else { return nil }
            case .merging: return nil
            }
            state.isMerging = true
            return before
        }
        guard let before else { return }
        do throws(StoreError) {
            try await attachAndMerge()
        } catch {
            state.withLock { state in
                state.isMerging = false
                // The books are as they were: what the store hears of twice does no harm.
                if case .merging = state.standing { state.standing = before }
            }
            detach(because: error)
        }
        resumeWaiting()
    }

    private func attachAndMerge() async throws(StoreError) {
        var losses = 0
        while true {
            // First whether it is there at all: nobody needs to wait for a store that does not answer.
            let attachment = try await shared.attach()
            do throws(StoreError) {
                return try await merge(attachment)
            } catch {
                // Lost once more while it was told; one that is lost all the time is of no use.
                losses += 1
                guard error.kind == .lost, losses < 5 else { throw error }
            }
        }
    }

    private func merge(_ attachment: StoreAttachment) async throws(StoreError) {
        // Somebody who waited too long may have opened books since.
        let (before, journal, isNew) = state.withLock { state -> (Standing, StoreJournal, Bool) in
            defer { state.standing = .merging }
            return (state.standing, state.journal, state.incarnation != attachment.incarnation)
        }
        do throws(StoreError) {
            let told = try await tell(journal)
            let leases = leasesToRestore(before, isNew: isNew)
            try await restore(leases)
            finishMerge(attachment, isNew: isNew, told: told, leases: leases.count)
        } catch {
            if case .away = before { state.withLock { $0.standing = before } }
            throw error
        }
    }

    private func leasesToRestore(_ before: Standing, isNew: Bool) -> [LeaseRecord] {
        guard case .away(let books?) = before else { return isNew ? client?.leasesInMemory() ?? [] : [] }
        // Memory knows the last uses better than the books do.
        let used = Dictionary(
            (client?.leasesInMemory() ?? []).map { ($0.sandbox.id, $0.idle) },
            uniquingKeysWith: { min($0, $1) }
        )
        return books.store.allLeases.filter { isNew || !books.known.contains($0.sandbox.id) }
            .map { record in
                var record = record
                record.idle = min(record.idle, used[record.sandbox.id] ?? record.idle)
                return record
            }
    }

    /// - Returns: The deaths that the store knows of now.
    private func tell(_ journal: StoreJournal) async throws(StoreError) -> [SandboxID] {
        try await allOf(Array(journal.deaths.values)) { [shared] death throws(StoreError) in
            try await shared.restore(death.ticket, isDead: death.isConfirmed)
        }
        try await allOf(Array(journal.creations.values)) { [shared] creation throws(StoreError) in
            let (request, token) = (creation.request, creation.request.token)
            switch creation.state {
            case .held, .detached:
                let isHeld = creation.state == .held
                try await shared.restore(RestoredIntent(request: request, epoch: creation.epoch, isHeld: isHeld))
                // It may have been held when the store went.
                if !isHeld { try await shared.detachIntent(request.key, token: token) }
            case .abandoned:
                try await shared.abandon(request.key, token: token)
            }
        }
        try await allOf(Array(journal.commits.values)) { [shared] record throws(StoreError) in
            _ = try await shared.commit(record)
        }
        return Array(journal.deaths.keys)
    }

    private func restore(_ leases: [LeaseRecord]) async throws(StoreError) {
        try await allOf(leases) { [shared, client] record throws(StoreError) in
            let outcome = try await shared.restore(record)
            // Under another epoch it is another lease: the copy is made anew.
            if outcome != .kept(record.epoch) { client?.leaseEnded(record.key, upTo: record.epoch) }
        }
        // What the store knew all along was used meanwhile.
        let uses = (client?.leasesInMemory() ?? []).map { LeaseUse(key: $0.key, epoch: $0.epoch, age: $0.idle) }
        try await shared.touch(uses)
    }

    private func finishMerge(_ attachment: StoreAttachment, isNew: Bool, told: [SandboxID], leases: Int) {
        let now = runtime.time.now()
        let (awayFor, isFirst, trust) = state.withLock { state -> (Duration?, Bool, MemoryTrust) in
            let isFirst = state.incarnation == nil
            let awayFor = state.awaySince.map { now - $0 }
            state.standing = .attached
            state.isMerging = false
            state.incarnation = attachment.incarnation
            state.merges += 1
            // What other replicas did meanwhile with what this one put back, only the provider can tell.
            state.isComplete = attachment.isComplete && awayFor == nil && leases == 0
            state.awaySince = nil
            state.reservedAlone = []
            // After a loss the last uses of other replicas may be missing as well.
            if !isFirst { state.reapsFrom = now + min(awayFor ?? Self.longestReapPause, Self.longestReapPause) }
            state.journal.toldOfDeaths(told)
            for record in Array(state.journal.commits.values) { state.journal.settled(record.token) }
            for (token, creation) in state.journal.creations where creation.state == .abandoned {
                state.journal.settled(token)
            }
            return (awayFor, isFirst, state.hearsEndings ? .onceChecked : .never)
        }
        client?.trustChanged(to: trust)
        guard !isFirst || awayFor != nil else { return }
        log.notice(
            isNew && !isFirst ? "the store is back, but is another one than before" : "the store is back",
            metadata: ["store_mode": "\(StoreMode.redis.rawValue)", "leases_told": "\(leases)"]
        )
    }

    /// Many calls at once share the round trips; after a failure no more are made.
    private func allOf<Item: Sendable>(
        _ items: [Item],
        _ work: @escaping @Sendable (Item) async throws(StoreError) -> Void
    ) async throws(StoreError) {
        let outcomes = await inParallel(items, width: 64, until: { $0 != nil }) { item -> StoreError? in
            do throws(StoreError) {
                try await work(item)
                return nil
            } catch {
                return error
            }
        }
        for case let failure? in outcomes { throw failure }
    }
}
