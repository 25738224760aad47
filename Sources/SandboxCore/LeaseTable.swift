/// The leases that this process knows. A value: events and `now` go in, decisions come out.
///
/// Guarded by a mutex that the actor shares with the hot path, which answers for fresh leases without an actor hop.
struct LeaseTable {
    /// When a lease may be handed out without a question.
    struct Policy: Sendable {
        var freshWindow: Duration
        var maxAge: Duration
        /// Below this much remote life a lease is probed first.
        var leastLife: Duration = .seconds(30)
        /// An extension that would bring less than this is not asked for.
        var leastGain: Duration = .seconds(5)
        /// In the last stretch of its age a lease is replaced rather than handed out.
        var replacementStretch: Duration = .seconds(60)
        /// In the last stretch of its age a lease is handed out with a warning.
        var warningStretch: Duration = .seconds(600)
    }

    /// What the hot path may do with a key.
    enum Freshness {
        /// Hand it out; with `probeBehind`, somebody must probe it afterwards and report back.
        case fresh(Lease, probeBehind: Bool)
        /// Take the long way.
        case stale
    }

    var leases = DenseTable<PackedLease>()
    /// Keys used since the store was last told.
    private var used: Set<LeaseKey> = []
    /// The shortest idle timeout among them.
    private(set) var shortestUsedTimeout: Duration?
    var trust = MemoryTrust.always
    /// Grows whenever copies made before must be checked.
    var trustRound = 0
    /// Keys that somebody is putting a copy in for, and which of their leases ended meanwhile.
    var watched: [LeaseKey: Watch] = [:]
    let policy: Policy

    init(policy: Policy) { self.policy = policy }

    var count: Int { leases.count }

    subscript(key: LeaseKey) -> Lease? { leases[key] }

    /// The hot path's question. Handing out counts as use.
    ///
    /// - Parameters:
    ///   - key: Whose lease.
    ///   - isChecked: The store has just vouched for the copy.
    ///   - now: The time.
    /// - Returns: The lease, or that a question must be asked first.
    mutating func handOutIfFresh(_ key: LeaseKey, isChecked: Bool = false, now: MonotonicInstant) -> Freshness {
        guard var lease = leases[key], isFresh(lease, now: now), isChecked || isTrusted(lease) else { return .stale }
        lease.lastUsed = now
        // By absolute age of the last probe, not of the last use: a busy client's sandbox is probed too (K4).
        let probeBehind = !lease.isProbing && now - lease.lastProbe > policy.freshWindow
        if probeBehind { lease.isProbing = true }
        leases[key] = lease
        markUsed(lease)
        return .fresh(lease, probeBehind: probeBehind)
    }

    private func isFresh(_ lease: Lease, now: MonotonicInstant) -> Bool {
        !lease.isPaused && !lease.isSuspect
            // Long before others may think it idle, the store has to hear of a use at once (I7).
            && now - lease.lastUsed <= min(policy.freshWindow, lease.idleTimeout / 2)
            && lease.remoteExpiry - now >= policy.leastLife
            && !isTooOld(lease, now: now)
    }

    /// Whether a lease should be replaced rather than handed out again. Where leases are short-lived altogether, that
    /// is at their end too, not from the start.
    func isTooOld(_ lease: Lease, now: MonotonicInstant) -> Bool {
        let stretch = min(policy.replacementStretch, policy.maxAge / 4)
        return !lease.isPaused && now - lease.runningSince >= policy.maxAge - stretch
    }

    /// Whether whoever gets the lease should be warned of its end.
    func endsSoon(_ lease: Lease, now: MonotonicInstant) -> Bool {
        now - lease.runningSince >= policy.maxAge - policy.warningStretch
    }

    /// Puts a lease in; a newer one of the same key stays, and so does the same one, whose uses are counted here.
    ///
    /// - Returns: `false` if the lease ended while somebody watched the key: it is not put in.
    @discardableResult
    mutating func insert(_ lease: Lease) -> Bool {
        if let ended = watched[lease.key]?.endedUpTo, ended >= lease.epoch { return false }
        if let present = leases[lease.key], present.epoch >= lease.epoch { return true }
        leases[lease.key] = lease
        return true
    }

    /// Takes a lease out, if it is still the one of `epoch`.
    @discardableResult
    mutating func remove(_ key: LeaseKey, epoch: Epoch) -> Lease? {
        guard let lease = leases[key], lease.epoch == epoch else { return nil }
        used.remove(key)
        return leases.removeValue(forKey: key)
    }

    /// The lease was used.
    ///
    /// - Returns: The lease as it is now, or `nil` if it is no longer the one of `epoch`.
    @discardableResult
    mutating func recordUse(_ key: LeaseKey, epoch: Epoch, now: MonotonicInstant) -> Lease? {
        update(key, epoch) { $0.lastUsed = now }
    }

    /// A command starts inside: the lease is in use until ``endUse(_:epoch:now:)``.
    mutating func beginUse(_ key: LeaseKey, epoch: Epoch, now: MonotonicInstant) -> Bool {
        update(key, epoch) {
            $0.lastUsed = now
            $0.activeUses += 1
        } != nil
    }

    /// A command inside ended.
    mutating func endUse(_ key: LeaseKey, epoch: Epoch, now: MonotonicInstant) {
        update(key, epoch) {
            $0.lastUsed = now
            $0.activeUses -= 1
        }
    }

    /// A probe ended; only success counts as use, and only when somebody asked.
    mutating func recordProbe(
        _ key: LeaseKey,
        epoch: Epoch,
        _ verdict: HealthVerdict,
        now: MonotonicInstant
    ) -> HealthDecision? {
        var decision: HealthDecision?
        update(key, epoch, countsAsUse: false) { lease in
            lease.isProbing = false
            decision = lease.health.record(verdict, now: now, runningSince: lease.runningSince)
            if decision == .alive {
                lease.lastProbe = now
                lease.isSuspect = false
            }
        }
        return decision
    }

    /// Somebody reported the sandbox ill.
    mutating func suspect(_ key: LeaseKey, epoch: Epoch) {
        update(key, epoch, countsAsUse: false) { $0.isSuspect = true }
    }

    /// The provider granted a later expiry; never an earlier one than known.
    mutating func extend(_ key: LeaseKey, epoch: Epoch, expiry: MonotonicInstant, now: MonotonicInstant) {
        update(key, epoch, countsAsUse: false) {
            $0.remoteExpiry = max($0.remoteExpiry, expiry)
            $0.lastMoved = now
        }
    }

    /// The sandbox was paused.
    mutating func pause(_ key: LeaseKey, epoch: Epoch, expiry: MonotonicInstant) {
        update(key, epoch, countsAsUse: false) {
            $0.isPaused = true
            $0.remoteExpiry = expiry
        }
    }

    /// The sandbox was attached to, and resumed if it was paused.
    mutating func connected(
        _ key: LeaseKey,
        epoch: Epoch,
        _ connected: ConnectedSandbox,
        now: MonotonicInstant
    ) -> Lease? {
        update(key, epoch) { lease in
            // Its session starts anew, and with it its age: time spent paused is not running time (K5). Nor do probes
            // of the machine that was stopped say anything about this one.
            if connected.resumed || lease.isPaused {
                lease.runningSince = now
                lease.health = HealthHistory()
            }
            lease.isPaused = false
            lease.isSuspect = false
            lease.sandbox = connected.sandbox
            lease.remoteExpiry = now + connected.sandbox.remainingLife
            lease.lastMoved = now
            lease.lastUsed = now
            lease.lastProbe = now
        }
    }

    /// The keys used since the last call, for ``uses(of:now:)``.
    mutating func takeUsed() -> Set<LeaseKey> {
        defer {
            used = []
            shortestUsedTimeout = nil
        }
        return used
    }

    /// The last uses of some keys, for the store. A lease with a command inside is in use every time.
    mutating func uses(of keys: some Sequence<LeaseKey>, now: MonotonicInstant) -> [LeaseUse] {
        keys.compactMap { key in
            guard let lease = leases[key] else { return nil }
            guard lease.activeUses > 0 else {
                // It may have been used again meanwhile.
                return LeaseUse(key: key, epoch: lease.epoch, age: max(.zero, now - lease.lastUsed))
            }
            markUsed(lease)
            return LeaseUse(key: key, epoch: lease.epoch, age: .zero)
        }
    }

    /// The store could not be told of these uses: they are due again.
    mutating func undrain(_ uses: [LeaseUse]) {
        for use in uses {
            if let lease = leases[use.key], lease.epoch == use.epoch { markUsed(lease) }
        }
    }

    /// Whether the lease lay idle for its whole timeout; `false` too if it is another one by now (I7).
    func isIdle(_ key: LeaseKey, epoch: Epoch, now: MonotonicInstant) -> Bool {
        guard let lease = leases[key], lease.epoch == epoch else { return false }
        return lease.activeUses == 0 && now - lease.lastUsed >= lease.idleTimeout
    }

    /// Whether the remaining life fell below the idle timeout, and the lease was used since it was last moved; `full` is
    /// how long it would live from now on.
    func needsExtension(_ lease: Lease, to full: Duration, now: MonotonicInstant) -> Bool {
        guard !lease.isPaused, lease.remoteExpiry > now, lease.remoteExpiry - now < lease.idleTimeout else {
            return false
        }
        let lastMoved = lease.lastMoved ?? lease.remoteExpiry - full
        let isUsed = lease.activeUses > 0 || lease.lastUsed > lastMoved
        // A provider that grants less than asked for, as at the end of a session, must not be asked every round.
        let pace = min(full - lease.idleTimeout, (lease.remoteExpiry - lastMoved) / 2)
        return isUsed && now - lastMoved >= pace
            && lease.remoteExpiry + policy.leastGain <= lease.runningSince + policy.maxAge
    }

    @discardableResult
    private mutating func update(
        _ key: LeaseKey,
        _ epoch: Epoch,
        countsAsUse: Bool = true,
        _ change: (inout Lease) -> Void
    ) -> Lease? {
        guard var lease = leases[key], lease.epoch == epoch else { return nil }
        change(&lease)
        leases[key] = lease
        if countsAsUse { markUsed(lease) }
        return lease
    }

    private mutating func markUsed(_ lease: Lease) {
        used.insert(lease.key)
        shortestUsedTimeout = min(shortestUsedTimeout ?? lease.idleTimeout, lease.idleTimeout)
    }
}
