/// When the warm pool may be filled: at a steady pace, and after failures less and less often.
///
/// A pure value. Tokens flow in at the configured rate; a pause after a failure doubles with each further one, from a
/// second to five minutes, and ends with the first success.
struct PoolSchedule {
    /// Pause between rounds of the pool filler.
    static let interval: Duration = .seconds(1)
    private static let longestPause: Duration = .seconds(300)

    private let perSecond: Double
    private var tokens: Double
    private var countedAt: MonotonicInstant?
    private var failures = 0
    private var pausedUntil: MonotonicInstant?
    private var unreported = 0
    private var lookedAt: MonotonicInstant?

    init(perSecond: Double) {
        self.perSecond = max(0, perSecond)
        tokens = max(1, self.perSecond)
    }

    /// How many of `wanted` may be begun now; they count as begun.
    mutating func begin(_ wanted: Int, now: MonotonicInstant) -> Int {
        if let countedAt, now > countedAt {
            tokens = min(max(1, perSecond), tokens + perSecond * ((now - countedAt) / .seconds(1)))
        }
        countedAt = now
        if let pausedUntil, now < pausedUntil { return 0 }
        // After a failure one is enough to find out whether it is over.
        let allowed = failures > 0 ? min(1, Int(tokens)) : Int(tokens)
        let begun = max(0, min(wanted, allowed))
        tokens -= Double(begun)
        return begun
    }

    /// A member was made.
    mutating func succeeded() {
        failures = 0
        pausedUntil = nil
    }

    /// A member could not be made.
    mutating func failed(now: MonotonicInstant) {
        unreported += 1
        // What was begun before the pause says nothing new.
        if let pausedUntil, now < pausedUntil { return }
        failures += 1
        pausedUntil = now + min(.seconds(1) * (1 << min(failures - 1, 9)), Self.longestPause)
    }

    /// Failures since the last call.
    mutating func takeFailures() -> Int {
        defer { unreported = 0 }
        return unreported
    }

    /// Whether the members should be looked after; at most once in each `pause`.
    mutating func isUpkeepDue(every pause: Duration, now: MonotonicInstant) -> Bool {
        if let lookedAt, now - lookedAt < pause { return false }
        lookedAt = now
        return true
    }
}

/// What becomes of the members that there are. A pure function of them and the configuration.
struct PoolUpkeep {
    /// They end: too old, of another template, or more than wanted.
    var ending: [LeaseRecord] = []
    /// Their sandboxes get a longer life.
    var extending: [LeaseRecord] = []

    init(_ members: [LeaseRecord], _ configuration: ManagerConfiguration) {
        let prefix = LeaseKey.warmPrefix(configuration.template)
        var kept: [LeaseRecord] = []
        for member in members {
            let isUseful = member.key.project.hasPrefix(prefix) && member.age < configuration.maxAge / 2
            if isUseful { kept.append(member) } else { ending.append(member) }
        }
        kept.sort { $0.age > $1.age }
        let surplus = max(0, kept.count - configuration.warmPool.target)
        ending += kept.prefix(surplus)
        kept.removeFirst(surplus)
        // Members that were made together must not all end together: from some age on one goes each time.
        if ending.isEmpty, let oldest = kept.first, oldest.age >= configuration.maxAge * 3 / 8 {
            ending.append(oldest)
            kept.removeFirst()
        }
        extending = kept.filter { $0.sandbox.remainingLife < configuration.idleTimeout }
    }
}
