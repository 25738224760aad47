// The warm pool: its members are leases of keys that no caller has.
extension StoreLedger {
    /// How long the pool gets nothing after the total limit refused somebody.
    static let wantedFor: Duration = .seconds(10)

    mutating func claimWarm(
        _ request: WarmClaimRequest,
        now: MonotonicInstant,
        wallNow: WallTime
    ) -> WarmClaimOutcome {
        guard holdings[request.key] == nil, (users[request.key.user]?.taken ?? 0) < request.perUser else {
            return .refused
        }
        let prefix = LeaseKey.warmPrefix(request.template)
        let fitting = members.compactMap { member -> Kept? in
            guard member.project.hasPrefix(prefix), case .lease(let kept) = holdings[member], !kept.record.isPaused,
                kept.remoteExpiry - now >= request.leastLife
            else { return nil }
            return kept
        }
        // The oldest first: so none grows old.
        guard let kept = fitting.min(by: { $0.created < $1.created }) else { return .empty }
        drop(kept)
        free(kept.record.token)
        take(kept.record.token, for: request.key)
        var record = kept.current(now: now)
        record.key = request.key
        record.epoch = nextEpoch(after: record.epoch, wallNow: wallNow)
        record.idle = .zero
        record.idleTimeout = request.idleTimeout
        keep(record, now: now)
        return .claimed(record)
    }

    func poolDenial(for request: ReservationRequest, now: MonotonicInstant) -> LimitDenial? {
        guard request.key.isWarm, let wantedUntil, now < wantedUntil else { return nil }
        return LimitDenial(scope: .total, limit: request.limits.total, inUse: slots.count, releasing: 0)
    }

    /// Whether a pool member's slot is another key's by now.
    func hasChangedHands(_ token: CreationToken, since member: LeaseKey) -> Bool {
        guard member.isWarm, let holder = slots[token] else { return false }
        return holder != member
    }

    /// A lease comes back that began as a pool member: what older books say of that member is over.
    mutating func endMembership(of record: LeaseRecord) {
        guard let holder = slots[record.token], holder.isWarm, holder != record.key else { return }
        switch holdings[holder] {
        case .lease(let kept) where kept.record.token == record.token: drop(kept)
        case .reservation(record.token): holdings[holder] = nil
        default: break
        }
        intents[record.token] = nil
        free(record.token)
    }
}
