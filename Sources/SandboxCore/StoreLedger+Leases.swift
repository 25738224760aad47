// How leases change, fall due and end.
extension StoreLedger {
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

    mutating func end(_ kept: Kept, reason: KillReason, now: MonotonicInstant, claim: Duration) -> KillTicket {
        drop(kept)
        let ticket = KillTicket(
            sandbox: kept.record.sandbox.id,
            token: kept.record.token,
            key: kept.record.key,
            reason: reason,
            epoch: kept.record.epoch
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

    mutating func drop(_ kept: Kept) {
        holdings[kept.record.key] = nil
        leased.remove(kept.record.key)
        members.remove(kept.record.key)
        if kept.record.isPaused { pausedCount -= 1 } else { activeCount -= 1 }
        // More than are looked at for a new one: where leases end and none begins, the void ones go too.
        sweepAlarms(looks: 4)
    }

    mutating func free(_ token: CreationToken) {
        guard let key = slots.removeValue(forKey: token), var user = users[key.user] else { return }
        if !key.isWarm { holders.move(from: user.taken, to: user.taken - 1) }
        user.taken -= 1
        user.releasing.remove(token)
        users[key.user] = user.taken == 0 ? nil : user
    }

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

    mutating func touch(_ uses: some Sequence<LeaseUse>, now: MonotonicInstant) {
        for use in uses {
            _ = change(use.key, use.epoch) { $0.lastUsed = max($0.lastUsed, now - use.age) }
        }
    }

    mutating func change(_ key: LeaseKey, _ epoch: Epoch, _ change: (inout Kept) -> Void) -> Bool {
        guard case .lease(var kept) = holdings[key], kept.record.epoch == epoch else { return false }
        change(&kept)
        holdings[key] = .lease(kept)
        return true
    }

    /// Leases that are due; the cost grows with these, not with all. Each is offered again a while later.
    mutating func dueLeases(limit: Int, again: Duration, now: MonotonicInstant) -> [DueLease] {
        var due: [DueLease] = []
        var offered: Set<LeaseKey> = []
        while due.count < limit, let alarm = alarms.first, alarm.at <= now {
            alarms.removeFirst()
            guard case .lease(let kept) = holdings[alarm.key], kept.record.epoch == alarm.epoch else { continue }
            let isDue = kept.due.at <= now
            // A lease that was paused and resumed has more than one alarm; the first will do.
            guard !isDue || offered.insert(alarm.key).inserted else { continue }
            if isDue { due.append(DueLease(record: kept.current(now: now), reason: kept.due.reason)) }
            let at = isDue ? now + again : kept.due.at
            alarms.insert(AlarmQueue.Alarm(at: at, key: alarm.key, epoch: alarm.epoch))
        }
        return due
    }

    mutating func arm(_ kept: Kept) {
        alarms.insert(AlarmQueue.Alarm(at: kept.due.at, key: kept.record.key, epoch: kept.record.epoch))
        sweepAlarms(looks: 2)
    }

    /// Alarms of ended leases do not stay until they ring (I6).
    private mutating func sweepAlarms(looks: Int) {
        let holdings = holdings
        alarms.sweep(looks: looks) { alarm in
            guard case .lease(let kept) = holdings[alarm.key] else { return true }
            return kept.record.epoch != alarm.epoch
        }
    }
}
