internal import Synchronization

// The calls of a store: each goes to the shared one, or to the books of this process, and leaves a note of what the
// shared store would have to be told again.

extension FailoverLeaseStore {
    /// See ``LeaseStore/lookup(_:)``.
    public func lookup(_ key: LeaseKey) async throws(StoreError) -> StoreEntry? {
        try await ask { store throws(StoreError) in
            try await store.lookup(key)
        } alone: {
            $0.lookup(key)
        }
    }

    /// See ``LeaseStore/reserve(_:)``.
    public func reserve(_ request: ReservationRequest) async throws(StoreError) -> ReserveOutcome {
        var share = request
        if case .degrade(let replicas) = policy { share.limits = request.limits.share(of: replicas) }
        do throws(StoreError) {
            return try await ask { store throws(StoreError) in
                try await store.reserve(request)
            } alone: { [share] in
                request.key.isWarm ? .limited(.noPoolAlone) : $0.reserve(share)
            } note: { state, outcome, isAlone, now in
                guard case .reserved(let epoch) = outcome else { return }
                state.journal.reserved(request, epoch, now: now)
                if isAlone { state.reservedAlone.insert(request.token) }
            }
        } catch {
            // It may have been reserved, and the reply lost: nobody will create under it.
            write { journal, now in
                journal.reserved(request, Epoch(0), now: now)
                journal.changed(request.token, to: .abandoned)
            }
            throw error
        }
    }

    /// See ``LeaseStore/commit(_:)``.
    public func commit(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        do throws(StoreError) {
            return try await ask { store throws(StoreError) in
                try await store.commit(lease)
            } alone: {
                $0.commit(lease)
            } note: { state, epoch, _, now in
                state.journal.settled(lease.token)
                guard epoch == nil else { return }
                state.journal.condemned(KillTicket(of: lease, .fenced), now: now)
            }
        } catch {
            // The sandbox exists: the store hears of it as soon as it is back (I3). A pool member may have been committed
            // and claimed, in books that are lost since: it is looked up and killed instead (I5).
            write { journal, _ in
                if lease.key.isWarm {
                    journal.changed(lease.token, to: .detached)
                } else {
                    journal.owesCommit(lease)
                }
            }
            throw error
        }
    }

    /// See ``LeaseStore/adopt(_:)``.
    public func adopt(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await ask { store throws(StoreError) in
            try await store.adopt(lease)
        } alone: {
            $0.adopt(lease)
        }
    }

    /// See ``LeaseStore/abandon(_:token:)``.
    public func abandon(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        // Noted first: also while the store is away, it has to hear of it.
        write { journal, _ in journal.changed(token, to: .abandoned) }
        try await ask { store throws(StoreError) in
            try await store.abandon(key, token: token)
        } alone: {
            $0.abandon(key, token: token)
        } note: { state, _, isAlone, _ in
            state.reservedAlone.remove(token)
            if !isAlone { state.journal.settled(token) }
        }
    }

    /// See ``LeaseStore/detachIntent(_:token:)``.
    public func detachIntent(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        write { journal, _ in journal.changed(token, to: .detached) }
        try await ask { store throws(StoreError) in
            try await store.detachIntent(key, token: token)
        } alone: {
            $0.detachIntent(key, token: token)
        }
    }

    /// See ``LeaseStore/release(_:reason:)``.
    public func release(_ key: LeaseKey, reason: KillReason) async throws(StoreError) -> ReleaseOutcome {
        try await ask { store throws(StoreError) in
            try await store.release(key, reason: reason)
        } alone: {
            $0.release(key, reason: reason)
        } note: { state, outcome, _, now in
            if case .ended(let ticket) = outcome { state.journal.condemned(ticket, now: now) }
        }
    }

    /// See ``LeaseStore/end(_:epoch:idleFor:reason:)``.
    public func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason
    ) async throws(StoreError) -> KillTicket? {
        try await ask { store throws(StoreError) in
            try await store.end(key, epoch: epoch, idleFor: idleFor, reason: reason)
        } alone: {
            $0.end(key, epoch: epoch, idleFor: idleFor, reason: reason)
        } note: { state, ticket, _, now in
            if let ticket { state.journal.condemned(ticket, now: now) }
        }
    }

    /// See ``LeaseStore/forget(_:epoch:)``.
    public func forget(_ key: LeaseKey, epoch: Epoch) async throws(StoreError) -> Bool {
        let (wasThere, _) = try await ask { store throws(StoreError) -> (Bool, KillTicket?) in
            (try await store.forget(key, epoch: epoch), nil)
        } alone: { books in
            guard case .lease(let record) = books.lookup(key), books.forget(key, epoch: epoch) else {
                return (false, nil)
            }
            return (true, KillTicket(sandbox: record.sandbox.id, token: record.token, key: key, reason: .orphan))
        } note: { state, answer, _, now in
            if let absent = answer.1 { state.confirmed(absent, isAlone: true, now: now) }
        }
        return wasThere
    }

    /// See ``LeaseStore/extend(_:epoch:remaining:)``.
    public func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) async throws(StoreError) -> Bool {
        try await ask { store throws(StoreError) in
            try await store.extend(key, epoch: epoch, remaining: remaining)
        } alone: {
            $0.extend(key, epoch: epoch, remaining: remaining)
        }
    }

    /// See ``LeaseStore/setPaused(_:epoch:paused:remaining:)``.
    public func setPaused(
        _ key: LeaseKey,
        epoch: Epoch,
        paused: Bool,
        remaining: Duration
    ) async throws(StoreError) -> Bool {
        try await ask { store throws(StoreError) in
            try await store.setPaused(key, epoch: epoch, paused: paused, remaining: remaining)
        } alone: {
            $0.setPaused(key, epoch: epoch, paused: paused, remaining: remaining)
        }
    }

    /// See ``LeaseStore/touch(_:)``.
    public func touch(_ uses: [LeaseUse]) async throws(StoreError) {
        guard !uses.isEmpty else { return }
        try await ask { store throws(StoreError) in
            try await store.touch(uses)
        } alone: {
            $0.touch(uses)
        }
    }

    /// See ``LeaseStore/dueLeases(limit:)``. Nothing is due until every replica could tell of uses during an outage; and
    /// alone, only what was made alone: the rest may be in use elsewhere (I7).
    public func dueLeases(limit: Int) async throws(StoreError) -> [DueLease] {
        let now = runtime.time.now()
        guard state.withLock({ $0.reapsFrom.map { $0 <= now } ?? true }) else { return [] }
        let (due, isAlone) = try await ask { store throws(StoreError) in
            (try await store.dueLeases(limit: limit), false)
        } alone: {
            ($0.dueLeases(limit: limit), true)
        }
        guard isAlone else { return due }
        let own = state.withLock { $0.reservedAlone }
        return due.filter { own.contains($0.record.token) }
    }

    /// The journal's size: bounded by what is under way, and by ``StoreJournal/longest``.
    public var collections: [CollectionGauges] {
        let now = runtime.time.now()
        let journal = state.withLock { $0.journal }
        return [
            CollectionGauges(
                name: .storeJournal,
                entries: journal.count,
                limit: StoreJournal.longest,
                oldestIdle: journal.oldest(now: now),
                idleLimit: StoreJournal.memory
            )
        ]
    }

    /// See ``LeaseStore/dueKills(limit:claim:)``.
    public func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket] {
        try await ask { store throws(StoreError) in
            try await store.dueKills(limit: limit, claim: claim)
        } alone: {
            $0.dueKills(limit: limit, claim: claim)
        }
    }

    /// See ``LeaseStore/enqueueKill(_:)``.
    public func enqueueKill(_ ticket: KillTicket) async throws(StoreError) {
        write { $0.condemned(ticket, now: $1) }
        try await ask { store throws(StoreError) in
            try await store.enqueueKill(ticket)
        } alone: {
            $0.enqueueKill(ticket)
        }
    }

    /// See ``LeaseStore/confirmKilled(_:)``.
    public func confirmKilled(_ ticket: KillTicket) async throws(StoreError) -> Bool {
        try await ask { store throws(StoreError) in
            try await store.confirmKilled(ticket)
        } alone: {
            $0.confirmKilled(ticket)
        } note: { state, _, isAlone, now in
            state.confirmed(ticket, isAlone: isAlone, now: now)
        }
    }

    /// See ``LeaseStore/deferKill(_:by:)``.
    public func deferKill(_ ticket: KillTicket, by delay: Duration) async throws(StoreError) {
        try await ask { store throws(StoreError) in
            try await store.deferKill(ticket, by: delay)
        } alone: {
            $0.deferKill(ticket, by: delay)
        }
    }

    /// See ``LeaseStore/dueIntents(limit:claim:)``.
    public func dueIntents(limit: Int, claim: Duration) async throws(StoreError) -> [Intent] {
        try await ask { store throws(StoreError) in
            try await store.dueIntents(limit: limit, claim: claim)
        } alone: {
            $0.dueIntents(limit: limit, claim: claim)
        }
    }

    /// See ``LeaseStore/isTaken(_:)``.
    public func isTaken(_ slot: CreationToken) async throws(StoreError) -> Bool {
        try await ask { store throws(StoreError) in
            try await store.isTaken(slot)
        } alone: {
            $0.isTaken(slot)
        }
    }

    /// See ``LeaseStore/unaccounted(_:)``.
    public func unaccounted(_ listed: [ListedSandbox]) async throws(StoreError) -> Set<SandboxID> {
        try await ask { store throws(StoreError) in
            try await store.unaccounted(listed)
        } alone: {
            $0.unaccounted(listed)
        }
    }

    /// See ``LeaseStore/takeDuty(_:for:)``. Alone, nobody has one: what others made looks like nobody's.
    public func takeDuty(_ duty: Duty, for term: Duration) async throws(StoreError) -> Bool {
        try await ask { store throws(StoreError) in
            try await store.takeDuty(duty, for: term)
        } alone: { _ in
            false
        }
    }

    /// See ``LeaseStore/resolveIntent(_:found:)``.
    public func resolveIntent(_ intent: Intent, found: [SandboxID]) async throws(StoreError) {
        try await ask { store throws(StoreError) in
            try await store.resolveIntent(intent, found: found)
        } alone: {
            $0.resolveIntent(intent, found: found)
        } note: { state, _, _, now in
            state.journal.settled(intent.token)
            if found.isEmpty { state.reservedAlone.remove(intent.token) }
            for (position, sandbox) in found.enumerated() {
                let token = position == 0 ? intent.token : nil
                let ticket = KillTicket(
                    sandbox: sandbox,
                    token: token,
                    key: intent.key,
                    reason: .orphan,
                    epoch: intent.epoch
                )
                state.journal.condemned(ticket, now: now)
            }
        }
    }

    /// See ``LeaseStore/list(user:limit:after:)``. Alone there are no members of the pool: what this process has made for
    /// it may be somebody's in the shared store.
    public func list(user: String?, limit: Int, after cursor: String?) async throws(StoreError) -> LeasePage {
        try await ask { store throws(StoreError) in
            try await store.list(user: user, limit: limit, after: cursor)
        } alone: {
            user == LeaseKey.warmUser
                ? LeasePage(leases: [], cursor: nil) : $0.list(user: user, limit: limit, after: cursor)
        }
    }

    /// See ``LeaseStore/account(of:)``.
    public func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount {
        try await ask { store throws(StoreError) in
            try await store.account(of: key)
        } alone: {
            $0.account(of: key)
        }
    }

    /// What the shared store last told, or what the books of this process hold.
    public func usage() -> StoreUsage {
        state.withLock { state in
            if case .away(let books?) = state.standing { books.store.usage() } else { shared.usage() }
        }
    }

    /// See ``LeaseStore/edition``.
    public var edition: BooksEdition { state.withLock { $0.edition } }

    /// See ``LeaseStore/markComplete(_:)``. Never repeated after a loss: that would speak of other books.
    public func markComplete(_ edition: BooksEdition) async throws(StoreError) {
        guard edition == self.edition else { throw StoreError("the books are others by now", kind: .lost) }
        try await shared.markComplete(edition.incarnation)
        let isSame = state.withLock { state in
            guard case .attached = state.standing, state.edition == edition else { return false }
            state.isComplete = true
            return true
        }
        guard isSame else { throw StoreError("the books are others by now", kind: .lost) }
    }

    /// See ``LeaseStore/repair()``.
    public func repair() async throws(StoreError) -> RepairedSlots {
        var all = RepairedSlots(scanned: 0, unjustified: 0, missing: 0, cursor: nil)
        repeat {
            let cursor = all.cursor
            let step = try await ask { store throws(StoreError) in
                try await store.repair(from: cursor)
            } alone: { _ in
                RepairedSlots(scanned: 0, unjustified: 0, missing: 0, cursor: nil)
            }
            all.scanned += step.scanned
            all.unjustified += step.unjustified
            all.missing += step.missing
            all.cursor = step.cursor
        } while all.cursor != nil
        return all
    }

    private func write(_ entry: (inout StoreJournal, MonotonicInstant) -> Void) {
        let now = runtime.time.now()
        state.withLock { entry(&$0.journal, now) }
    }
}

extension FailoverLeaseStore.State {
    /// A sandbox is known to be gone; the shared store has heard of it, or will.
    fileprivate mutating func confirmed(_ ticket: KillTicket, isAlone: Bool, now: MonotonicInstant) {
        journal.confirmed(ticket, isToldLater: isAlone, now: now)
        if let token = ticket.token { reservedAlone.remove(token) }
    }
}

extension SlotLimits {
    /// What one of so many replicas may take by itself; never nothing.
    func share(of replicas: Int) -> SlotLimits {
        SlotLimits(perUser: max(1, perUser / max(1, replicas)), total: max(1, total / max(1, replicas)))
    }
}
