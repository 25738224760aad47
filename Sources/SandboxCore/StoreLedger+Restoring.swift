// What a replica puts back that a store may have lost. The limits do not count here: it exists.
extension StoreLedger {
    mutating func restore(_ record: LeaseRecord, now: MonotonicInstant) -> RestoreOutcome {
        lastEpoch = max(lastEpoch, record.epoch.rawValue)
        if hasChangedHands(record.token, since: record.key) { return .kept(record.epoch) }
        endMembership(of: record)
        if outbox[record.sandbox.id] != nil {
            condemn(record, now: now)
            return .superseded
        }
        switch holdings[record.key] {
        case .lease(let kept) where kept.record.sandbox.id == record.sandbox.id:
            _ = change(record.key, kept.record.epoch) {
                $0.lastUsed = max($0.lastUsed, now - record.idle)
                $0.remoteExpiry = max($0.remoteExpiry, now + record.sandbox.remainingLife)
            }
            return .kept(kept.record.epoch)
        case .lease(let kept) where kept.record.epoch >= record.epoch:
            condemn(record, now: now)
            return .superseded
        case .lease(let kept):
            _ = end(kept, reason: .orphan, now: now, claim: .zero)
        case .reservation(let token):
            holdings[record.key] = nil
            if token != record.token { markReleasing(token) }
        case nil: break
        }
        take(record.token, for: record.key)
        intents[record.token] = nil
        keep(record, now: now)
        return .kept(record.epoch)
    }

    /// The loser of two sandboxes of one key, with its slot.
    private mutating func condemn(_ record: LeaseRecord, now: MonotonicInstant) {
        let token = outbox[record.sandbox.id]?.ticket.token ?? record.token
        if token == record.token { take(token, for: record.key) }
        var ticket = KillTicket(of: record, .orphan)
        ticket.token = token
        condemn(ticket, now: now)
    }

    mutating func restore(_ restored: RestoredIntent, now: MonotonicInstant) {
        let request = restored.request
        lastEpoch = max(lastEpoch, restored.epoch.rawValue)
        guard !hasChangedHands(request.token, since: request.key) else { return }
        if intents[request.token] != nil {
            if !restored.isHeld { detachIntent(request.key, token: request.token, now: now) }
            return
        }
        guard !isJustified(request.token, for: request.key) else { return }
        take(request.token, for: request.key)
        if restored.isHeld {
            if holdings[request.key] == nil {
                holdings[request.key] = .reservation(request.token)
            } else {
                // The creation goes on, but what it makes cannot be leased any more.
                markReleasing(request.token)
            }
        }
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
        var kill = kill
        if let key = kill.key, case .lease(let kept) = holdings[key], kept.record.sandbox.id == kill.sandbox {
            drop(kept)
            kill.token = kept.record.token
        }
        if isDead {
            _ = confirmKilled(kill)
            // A creation of that name whose outcome is open keeps its slot until it is known.
            if let token = kill.token, let key = slots[token], !isJustified(token, for: key) { free(token) }
        } else {
            if let token = kill.token, let key = kill.key, outbox[kill.sandbox]?.ticket.token ?? token == token {
                take(token, for: key)
            }
            condemn(kill, now: now)
        }
    }

    /// Gives every slot that nothing justifies an intent that is due, and every entry without a slot one. All at once:
    /// here they are at hand.
    mutating func repair(now: MonotonicInstant, wallNow: WallTime) -> RepairedSlots {
        var repaired = RepairedSlots(scanned: slots.count, unjustified: 0, missing: 0, cursor: nil)
        for (token, key) in slots.pairs where !isJustified(token, for: key) {
            repaired.unjustified += 1
            intents[token] = OpenIntent(
                key: key,
                epoch: nextEpoch(after: nil, wallNow: wallNow),
                owner: "",
                since: now,
                agesFrom: now,
                dueAt: now
            )
        }
        let leased = holdings.pairs.compactMap { key, holding in
            if case .lease(let kept) = holding { (kept.record.token, key) } else { nil }
        }
        let open = intents.map { ($0.key, $0.value.key) }
        let dying = outbox.values.compactMap { entry in
            entry.ticket.token.flatMap { token in entry.ticket.key.map { (token, $0) } }
        }
        for (token, key) in leased + open + dying where slots[token] == nil {
            take(token, for: key)
            repaired.missing += 1
        }
        for (token, _) in dying { markReleasing(token) }
        return repaired
    }

    /// Takes a slot above the limits, if it is not taken yet.
    mutating func take(_ token: CreationToken, for key: LeaseKey) {
        guard slots[token] == nil else { return }
        slots[token] = key
        let taken = users[key.user]?.taken ?? 0
        if !key.isWarm { holders.move(from: taken, to: taken + 1) }
        if taken == 0 { users[key.user] = UserSlots() }
        changeUser(key.user) { $0.taken += 1 }
    }

    mutating func changeUser(_ user: String, _ change: (inout UserSlots) -> Void) {
        guard var slots = users[user] else { return }
        change(&slots)
        users[user] = slots
    }

    private func isJustified(_ token: CreationToken, for key: LeaseKey) -> Bool {
        if intents[token] != nil { return true }
        if case .lease(let kept) = holdings[key], kept.record.token == token { return true }
        return outbox.values.contains { $0.ticket.token == token }
    }
}
