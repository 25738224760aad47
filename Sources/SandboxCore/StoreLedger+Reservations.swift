// Reservations, and how they become leases.
extension StoreLedger {
    mutating func reserve(_ request: ReservationRequest, now: MonotonicInstant, wallNow: WallTime) -> ReserveOutcome {
        // The same token again is the repetition of a call whose reply was lost; it may have been fenced since.
        if let intent = intents[request.token], intent.key == request.key { return .reserved(intent.epoch) }
        switch holdings[request.key] {
        case .lease(let kept):
            return .leased(kept.current(now: now))
        case .reservation(let token):
            guard let intent = intents[token] else { preconditionFailure("a reservation without an intent") }
            return .reservedElsewhere(
                ReservationRecord(owner: intent.owner, token: token, epoch: intent.epoch, remaining: intent.dueAt - now)
            )
        case nil:
            break
        }
        if let denial = denial(for: request.key.user, request.limits) ?? poolDenial(for: request, now: now) {
            if denial.scope == .total, !request.key.isWarm { wantedUntil = now + Self.wantedFor }
            return .limited(denial)
        }
        let epoch = nextEpoch(after: nil, wallNow: wallNow)
        take(request.token, for: request.key)
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

    func denial(for user: String, _ limits: SlotLimits) -> LimitDenial? {
        let own = users[user] ?? UserSlots()
        if own.taken >= limits.perUser {
            return LimitDenial(scope: .user, limit: limits.perUser, inUse: own.taken, releasing: own.releasing.count)
        }
        guard slots.count >= limits.total else { return nil }
        return LimitDenial(scope: .total, limit: limits.total, inUse: slots.count, releasing: own.releasing.count)
    }

    mutating func commit(_ record: LeaseRecord, now: MonotonicInstant, claim: Duration = .zero) -> Epoch? {
        if case .lease(let kept) = holdings[record.key], kept.record.token == record.token { return kept.record.epoch }
        // The repetition for a pool member that was claimed since: it is somebody's now.
        if hasChangedHands(record.token, since: record.key) { return record.epoch }
        guard case .reservation(record.token) = holdings[record.key] else {
            condemn(KillTicket(of: record, .fenced), now: now, claim: claim)
            intents[record.token] = nil
            return nil
        }
        intents[record.token] = nil
        keep(record, now: now)
        if record.key.isWarm { members.insert(record.key) }
        return record.epoch
    }

    mutating func adopt(_ record: LeaseRecord, now: MonotonicInstant, wallNow: WallTime) -> Epoch? {
        // What is condemned is nobody's lease any more.
        guard holdings[record.key] == nil, outbox[record.sandbox.id] == nil else { return nil }
        var record = record
        record.epoch = nextEpoch(after: record.epoch, wallNow: wallNow)
        take(record.token, for: record.key)
        keep(record, now: now)
        return record.epoch
    }

    mutating func keep(_ record: LeaseRecord, now: MonotonicInstant) {
        let kept = Kept(
            record: record,
            created: now - record.age,
            lastUsed: now - record.idle,
            remoteExpiry: now + record.sandbox.remainingLife
        )
        holdings[record.key] = .lease(kept)
        leased.insert(record.key)
        changeUser(record.key.user) { $0.releasing.remove(record.token) }
        if record.isPaused { pausedCount += 1 } else { activeCount += 1 }
        arm(kept)
    }

    /// One counter for all keys: it grows for each of them, and needs no memory of keys long gone.
    mutating func nextEpoch(after known: Epoch?, wallNow: WallTime) -> Epoch {
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
}
