internal import HeapModule

/// The truth of leases, slots, intents and the kill outbox, as a value: what Redis does in scripts is done here in
/// place.
///
/// A slot is named by the creation token that took it. It moves from reservation to lease to outbox, and is freed only
/// by ``confirmKilled(_:)``, ``forget(_:epoch:)``, ``abandon(_:token:)`` and an intent resolved as absent (I4).
struct StoreLedger {
    private enum Holding {
        case reservation(CreationToken)
        case lease(Kept)
    }

    /// A lease, with its times as instants of this store's clock.
    private struct Kept {
        var record: LeaseRecord
        var created: MonotonicInstant
        var lastUsed: MonotonicInstant
        var remoteExpiry: MonotonicInstant

        /// When somebody should look at it, and why.
        var due: (at: MonotonicInstant, reason: KillReason) {
            let idleEnd = lastUsed + record.idleTimeout
            // A paused sandbox is not idle: its owner put it away. Only its own limit ends it.
            if record.isPaused || remoteExpiry <= idleEnd { return (remoteExpiry, .expired) }
            return (idleEnd, .idle)
        }

        func current(now: MonotonicInstant) -> LeaseRecord {
            var record = record
            record.age = now - created
            record.idle = now - lastUsed
            record.sandbox.remainingLife = remoteExpiry - now
            return record
        }
    }

    private struct OpenIntent {
        var key: LeaseKey
        var epoch: Epoch
        var owner: String
        var since: MonotonicInstant
        /// From when its age counts: late enough that every attempt of its creation had begun.
        var agesFrom: MonotonicInstant
        var dueAt: MonotonicInstant
    }

    private struct Condemned {
        var ticket: KillTicket
        var since: MonotonicInstant
        var dueAt: MonotonicInstant
    }

    private struct Alarm: Comparable {
        var at: MonotonicInstant
        var key: LeaseKey
        var epoch: Epoch
        static func < (left: Alarm, right: Alarm) -> Bool { left.at < right.at }
    }

    private struct UserSlots {
        var taken = 0
        /// Slots whose sandbox is condemned, or will be as soon as it is made.
        var releasing: Set<CreationToken> = []
    }

    private var holdings: [LeaseKey: Holding] = [:]
    private var slots: [CreationToken: LeaseKey] = [:]
    private var users: [String: UserSlots] = [:]
    private var intents: [CreationToken: OpenIntent] = [:]
    private var outbox: [SandboxID: Condemned] = [:]
    private var alarms = Heap<Alarm>()
    private var lastEpoch: Int64 = 0
    private var activeCount = 0
    private var pausedCount = 0

    // MARK: Reservations

    mutating func reserve(_ request: ReservationRequest, now: MonotonicInstant, wallNow: WallTime) -> ReserveOutcome {
        switch holdings[request.key] {
        case .lease(let kept):
            return .leased(kept.current(now: now))
        case .reservation(let token):
            guard let intent = intents[token] else { preconditionFailure("a reservation without an intent") }
            // The same token again is the repetition of a call whose reply was lost.
            if token == request.token { return .reserved(intent.epoch) }
            return .reservedElsewhere(
                ReservationRecord(owner: intent.owner, token: token, epoch: intent.epoch, remaining: intent.dueAt - now)
            )
        case nil:
            break
        }
        if let denial = denial(for: request.key.user, request.limits) { return .limited(denial) }
        let epoch = nextEpoch(after: nil, wallNow: wallNow)
        slots[request.token] = request.key
        users[request.key.user, default: UserSlots()].taken += 1
        holdings[request.key] = .reservation(request.token)
        intents[request.token] = OpenIntent(
            key: request.key,
            epoch: epoch,
            owner: request.owner,
            since: now,
            agesFrom: now,
            dueAt: now + request.intentDeadline
        )
        return .reserved(epoch)
    }

    private func denial(for user: String, _ limits: SlotLimits) -> LimitDenial? {
        let own = users[user] ?? UserSlots()
        if own.taken >= limits.perUser {
            return LimitDenial(scope: .user, limit: limits.perUser, inUse: own.taken, releasing: own.releasing.count)
        }
        guard slots.count >= limits.total else { return nil }
        return LimitDenial(scope: .total, limit: limits.total, inUse: slots.count, releasing: own.releasing.count)
    }

    mutating func commit(_ record: LeaseRecord, now: MonotonicInstant, claim: Duration = .zero) -> Epoch? {
        if case .lease(let kept) = holdings[record.key], kept.record.token == record.token { return kept.record.epoch }
        guard case .reservation(record.token) = holdings[record.key] else {
            condemn(
                KillTicket(sandbox: record.sandbox.id, token: record.token, key: record.key, reason: .fenced),
                now: now,
                claim: claim
            )
            intents[record.token] = nil
            return nil
        }
        intents[record.token] = nil
        keep(record, now: now)
        return record.epoch
    }

    mutating func adopt(_ record: LeaseRecord, now: MonotonicInstant, wallNow: WallTime) -> Epoch? {
        guard holdings[record.key] == nil else { return nil }
        var record = record
        record.epoch = nextEpoch(after: record.epoch, wallNow: wallNow)
        if slots.updateValue(record.key, forKey: record.token) == nil {
            users[record.key.user, default: UserSlots()].taken += 1
        }
        keep(record, now: now)
        return record.epoch
    }

    private mutating func keep(_ record: LeaseRecord, now: MonotonicInstant) {
        let kept = Kept(
            record: record,
            created: now - record.age,
            lastUsed: now - record.idle,
            remoteExpiry: now + record.sandbox.remainingLife
        )
        holdings[record.key] = .lease(kept)
        if record.isPaused { pausedCount += 1 } else { activeCount += 1 }
        arm(kept)
    }

    /// One counter for all keys: it grows for each of them, and needs no memory of keys long gone.
    private mutating func nextEpoch(after known: Epoch?, wallNow: WallTime) -> Epoch {
        lastEpoch = max(max(lastEpoch, known?.rawValue ?? 0) + 1, wallNow.microseconds)
        return Epoch(lastEpoch)
    }

    mutating func abandon(_ key: LeaseKey, token: CreationToken) {
        if case .reservation(token) = holdings[key] { holdings[key] = nil }
        if intents.removeValue(forKey: token) != nil { free(token) }
    }

    mutating func detachIntent(_ key: LeaseKey, token: CreationToken, now: MonotonicInstant) {
        if case .reservation(token) = holdings[key] { holdings[key] = nil }
        intents[token]?.dueAt = now
        intents[token]?.agesFrom = now
    }

    // MARK: Putting back

    mutating func restore(_ record: LeaseRecord, now: MonotonicInstant) -> RestoreOutcome {
        if outbox[record.sandbox.id] != nil { return .superseded }
        switch holdings[record.key] {
        case .lease(let kept) where kept.record.sandbox.id == record.sandbox.id:
            return .kept(kept.record.epoch)
        case .lease(let kept) where kept.record.epoch > record.epoch:
            take(record.token, for: record.key)
            condemn(
                KillTicket(sandbox: record.sandbox.id, token: record.token, key: record.key, reason: .fenced),
                now: now
            )
            return .superseded
        case .lease(let kept):
            _ = end(kept, reason: .fenced, now: now, claim: .zero)
        case .reservation, nil:
            break
        }
        take(record.token, for: record.key)
        intents[record.token] = nil
        lastEpoch = max(lastEpoch, record.epoch.rawValue)
        keep(record, now: now)
        return .kept(record.epoch)
    }

    mutating func restore(_ restored: RestoredIntent, now: MonotonicInstant) {
        let request = restored.request
        if case .lease(let kept) = holdings[request.key], kept.record.token == request.token { return }
        take(request.token, for: request.key)
        if restored.isHeld, holdings[request.key] == nil { holdings[request.key] = .reservation(request.token) }
        guard intents[request.token] == nil else { return }
        intents[request.token] = OpenIntent(
            key: request.key,
            epoch: restored.epoch,
            owner: request.owner,
            since: now,
            agesFrom: now,
            dueAt: restored.isHeld ? now + request.intentDeadline : now
        )
    }

    mutating func restore(_ kill: KillTicket, isDead: Bool, now: MonotonicInstant) {
        if let key = kill.key, case .lease(let kept) = holdings[key], kept.record.sandbox.id == kill.sandbox {
            _ = end(kept, reason: kill.reason, now: now, claim: .zero)
        } else if !isDead {
            if let token = kill.token, let key = kill.key { take(token, for: key) }
            condemn(kill, now: now)
        }
        if isDead { _ = confirmKilled(kill) }
    }

    private mutating func take(_ token: CreationToken, for key: LeaseKey) {
        guard slots.updateValue(key, forKey: token) == nil else { return }
        users[key.user, default: UserSlots()].taken += 1
    }

    // MARK: Endings

    mutating func release(_ key: LeaseKey, reason: KillReason, now: MonotonicInstant, claim: Duration) -> ReleaseOutcome
    {
        switch holdings[key] {
        case .lease(let kept):
            return .ended(end(kept, reason: reason, now: now, claim: claim))
        case .reservation(let token):
            holdings[key] = nil
            markReleasing(token)
            return .fenced(token)
        case nil:
            // A repetition: the sandbox may still be dying, or be made only to die.
            let condemned = outbox.values.first { $0.ticket.key == key && $0.ticket.token != nil }?.ticket.token
            let dying = condemned ?? intents.first { $0.value.key == key }?.key
            return dying.map { .dying($0) } ?? .nothing
        }
    }

    mutating func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason,
        now: MonotonicInstant,
        claim: Duration
    ) -> KillTicket? {
        guard case .lease(let kept) = holdings[key], kept.record.epoch == epoch else { return nil }
        if let idleFor, now - kept.lastUsed < idleFor { return nil }
        return end(kept, reason: reason, now: now, claim: claim)
    }

    private mutating func end(_ kept: Kept, reason: KillReason, now: MonotonicInstant, claim: Duration) -> KillTicket {
        drop(kept)
        let ticket = KillTicket(
            sandbox: kept.record.sandbox.id,
            token: kept.record.token,
            key: kept.record.key,
            reason: reason
        )
        condemn(ticket, now: now, claim: claim)
        return ticket
    }

    mutating func forget(_ key: LeaseKey, epoch: Epoch) -> Bool {
        guard case .lease(let kept) = holdings[key], kept.record.epoch == epoch else { return false }
        drop(kept)
        free(kept.record.token)
        return true
    }

    private mutating func drop(_ kept: Kept) {
        holdings[kept.record.key] = nil
        if kept.record.isPaused { pausedCount -= 1 } else { activeCount -= 1 }
    }

    private mutating func free(_ token: CreationToken) {
        guard let key = slots.removeValue(forKey: token), var user = users[key.user] else { return }
        user.taken -= 1
        user.releasing.remove(token)
        users[key.user] = user.taken == 0 ? nil : user
    }

    // MARK: Changes of a lease

    mutating func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration, now: MonotonicInstant) -> Bool {
        change(key, epoch) { $0.remoteExpiry = max($0.remoteExpiry, now + remaining) }
    }

    mutating func setPaused(
        _ key: LeaseKey,
        epoch: Epoch,
        paused: Bool,
        remaining: Duration,
        now: MonotonicInstant
    ) -> Bool {
        guard case .lease(let kept) = holdings[key], kept.record.epoch == epoch else { return false }
        if kept.record.isPaused != paused {
            activeCount += paused ? -1 : 1
            pausedCount += paused ? 1 : -1
        }
        _ = change(key, epoch) {
            $0.record.isPaused = paused
            $0.remoteExpiry = now + remaining
        }
        // The alarm may have moved forward; the old one finds nothing due and rearms itself.
        if case .lease(let changed) = holdings[key] { arm(changed) }
        return true
    }

    mutating func touch(_ uses: [LeaseUse], now: MonotonicInstant) {
        for use in uses {
            _ = change(use.key, use.epoch) { $0.lastUsed = max($0.lastUsed, now - use.age) }
        }
    }

    private mutating func change(_ key: LeaseKey, _ epoch: Epoch, _ change: (inout Kept) -> Void) -> Bool {
        guard case .lease(var kept) = holdings[key], kept.record.epoch == epoch else { return false }
        change(&kept)
        holdings[key] = .lease(kept)
        return true
    }

    /// Leases that are due; the cost grows with these, not with all. Each is offered again a while later.
    mutating func dueLeases(limit: Int, again: Duration, now: MonotonicInstant) -> [DueLease] {
        var due: [DueLease] = []
        var offered: Set<LeaseKey> = []
        while due.count < limit, let alarm = alarms.min, alarm.at <= now {
            alarms.removeMin()
            guard case .lease(let kept) = holdings[alarm.key], kept.record.epoch == alarm.epoch else { continue }
            let isDue = kept.due.at <= now
            // A lease that was paused and resumed has more than one alarm; the first will do.
            guard !isDue || offered.insert(alarm.key).inserted else { continue }
            if isDue { due.append(DueLease(record: kept.current(now: now), reason: kept.due.reason)) }
            alarms.insert(Alarm(at: isDue ? now + again : kept.due.at, key: alarm.key, epoch: alarm.epoch))
        }
        return due
    }

    private mutating func arm(_ kept: Kept) {
        alarms.insert(Alarm(at: kept.due.at, key: kept.record.key, epoch: kept.record.epoch))
        // Alarms of ended leases stay until they ring; when they outnumber the living, all are made anew (I6).
        guard alarms.count > 2 * (activeCount + pausedCount) + 64 else { return }
        alarms = Heap(
            holdings.values.compactMap { holding in
                guard case .lease(let kept) = holding else { return nil }
                return Alarm(at: kept.due.at, key: kept.record.key, epoch: kept.record.epoch)
            }
        )
    }

    // MARK: Outbox and intents

    private mutating func condemn(_ ticket: KillTicket, now: MonotonicInstant, claim: Duration = .zero) {
        if let token = ticket.token { markReleasing(token) }
        guard let present = outbox[ticket.sandbox] else {
            outbox[ticket.sandbox] = Condemned(ticket: ticket, since: now, dueAt: now + claim)
            return
        }
        // Condemned before, by somebody who knew of no slot: its death must free this one.
        if present.ticket.token == nil { outbox[ticket.sandbox]?.ticket.token = ticket.token }
    }

    private mutating func markReleasing(_ slot: CreationToken) {
        guard let key = slots[slot] else { return }
        users[key.user]?.releasing.insert(slot)
    }

    mutating func enqueueKill(_ ticket: KillTicket, now: MonotonicInstant) {
        condemn(ticket, now: now)
    }

    mutating func dueKills(limit: Int, claim: Duration, now: MonotonicInstant) -> [KillTicket] {
        let due = outbox.values.filter { $0.dueAt <= now }.sorted { $0.dueAt < $1.dueAt }.prefix(limit)
        for entry in due { outbox[entry.ticket.sandbox]?.dueAt = now + claim }
        return due.map(\.ticket)
    }

    mutating func confirmKilled(_ ticket: KillTicket) -> Bool {
        guard let entry = outbox.removeValue(forKey: ticket.sandbox) else { return false }
        if let token = entry.ticket.token { free(token) }
        return true
    }

    mutating func deferKill(_ ticket: KillTicket, by delay: Duration, now: MonotonicInstant) {
        outbox[ticket.sandbox]?.ticket.attempts += 1
        outbox[ticket.sandbox]?.dueAt = now + delay
    }

    mutating func dueIntents(limit: Int, claim: Duration, now: MonotonicInstant) -> [Intent] {
        let due = intents.filter { $0.value.dueAt <= now }.sorted { $0.value.since < $1.value.since }.prefix(limit)
        for (token, _) in due { intents[token]?.dueAt = now + claim }
        return due.map { token, open in
            var isHeld = false
            if case .reservation(token) = holdings[open.key] { isHeld = true }
            return Intent(token: token, key: open.key, epoch: open.epoch, age: now - open.agesFrom, isHeld: isHeld)
        }
    }

    mutating func resolveIntent(_ intent: Intent, found: [SandboxID], now: MonotonicInstant) {
        guard intents.removeValue(forKey: intent.token) != nil else { return }
        if case .reservation(intent.token) = holdings[intent.key] { holdings[intent.key] = nil }
        guard let first = found.first else { return free(intent.token) }
        condemn(KillTicket(sandbox: first, token: intent.token, key: intent.key, reason: .orphan), now: now)
        for sandbox in found.dropFirst() {
            condemn(KillTicket(sandbox: sandbox, token: nil, key: intent.key, reason: .orphan), now: now)
        }
    }

    // MARK: Questions

    func isTaken(_ slot: CreationToken) -> Bool { slots[slot] != nil }

    func lookup(_ key: LeaseKey, now: MonotonicInstant) -> StoreEntry? {
        switch holdings[key] {
        case .lease(let kept):
            return .lease(kept.current(now: now))
        case .reservation(let token):
            return intents[token].map {
                .reservation(
                    ReservationRecord(owner: $0.owner, token: token, epoch: $0.epoch, remaining: $0.dueAt - now)
                )
            }
        case nil:
            return nil
        }
    }

    func list(user: String?, limit: Int, after cursor: String?, now: MonotonicInstant) -> LeasePage {
        let keys = holdings.keys
            .filter { key in user.map { $0 == key.user } ?? true }
            .map { (name: $0.canonical, key: $0) }
            .filter { entry in cursor.map { entry.name > $0 } ?? true }
            .sorted { $0.name < $1.name }
        var page = LeasePage(leases: [], cursor: nil)
        for (_, key) in keys {
            guard case .lease(let kept) = holdings[key] else { continue }
            // One more lease than asked for exists: so there is another page.
            if page.leases.count == limit {
                page.cursor = page.leases.last?.key.canonical
                break
            }
            page.leases.append(kept.current(now: now))
        }
        return page
    }

    func usage(now: MonotonicInstant) -> StoreUsage {
        var usage = StoreUsage()
        usage.slots = slots.count
        usage.largestUser = users.values.reduce(0) { max($0, $1.taken) }
        usage.active = activeCount
        usage.paused = pausedCount
        usage.reservations = holdings.count - activeCount - pausedCount
        usage.outbox = outbox.count
        usage.oldestKill = outbox.values.reduce(.zero) { max($0, now - $1.since) }
        usage.intents = intents.count
        usage.oldestIntent = intents.values.reduce(.zero) { max($0, now - $1.since) }
        return usage
    }

    /// How many entries each collection here has, for a test that nothing stays behind.
    var isEmpty: Bool {
        holdings.isEmpty && slots.isEmpty && users.isEmpty && intents.isEmpty && outbox.isEmpty
    }
}
