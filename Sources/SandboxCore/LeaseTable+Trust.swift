// Other replicas end leases too. A copy in memory is worth as much as the way on which endings are heard.

extension LeaseTable {
    /// Somebody reads a lease of the key elsewhere and will put it in; what ends meanwhile must not come back.
    struct Watch {
        var watchers = 0
        var endedUpTo: Epoch?
    }

    /// Begins to watch the key; ended by ``unwatch(_:)``.
    mutating func watch(_ key: LeaseKey) {
        watched[key, default: Watch()].watchers += 1
    }

    /// Ends what ``watch(_:)`` began.
    mutating func unwatch(_ key: LeaseKey) {
        guard var watch = watched[key] else { return }
        watch.watchers -= 1
        watched[key] = watch.watchers > 0 ? watch : nil
    }

    /// The only watcher is about to read the store, which knows of every ending heard until now.
    mutating func readsAnew(_ key: LeaseKey) {
        if watched[key]?.watchers == 1 { watched[key]?.endedUpTo = nil }
    }

    /// Another replica ended or changed the key's leases up to `epoch`.
    mutating func ended(_ key: LeaseKey, upTo epoch: Epoch) {
        if let lease = leases[key], lease.epoch <= epoch { remove(key, epoch: lease.epoch) }
        guard var watch = watched[key] else { return }
        watch.endedUpTo = max(watch.endedUpTo ?? epoch, epoch)
        watched[key] = watch
    }

    /// How far copies may be trusted from now on.
    mutating func trustChanged(to trust: MemoryTrust) {
        self.trust = trust
        if trust == .onceChecked { trustRound += 1 }
    }

    /// Whether the copy may be handed out without asking the store.
    func isTrusted(_ lease: Lease) -> Bool {
        switch trust {
        case .always: true
        case .onceChecked: lease.vouchedIn == trustRound
        case .never: false
        }
    }

    /// Whether a copy must be held against the store first: it is not trusted, or near an end that may have been moved.
    func needsStore(_ lease: Lease, now: MonotonicInstant) -> Bool {
        !isTrusted(lease) || lease.remoteExpiry - now < policy.leastLife
    }

    /// The store holds the same lease, as `record` says; asked in round `round`.
    mutating func vouch(for record: LeaseRecord, round: Int, now: MonotonicInstant) {
        guard var lease = leases[record.key], lease.epoch == record.epoch else { return }
        lease.vouchedIn = round
        lease.lastUsed = max(lease.lastUsed, now - record.idle)
        if record.isPaused == lease.isPaused {
            lease.remoteExpiry = max(lease.remoteExpiry, now + record.sandbox.remainingLife)
        } else {
            lease.isPaused = record.isPaused
            lease.remoteExpiry = now + record.sandbox.remainingLife
        }
        leases[record.key] = lease
    }
}
