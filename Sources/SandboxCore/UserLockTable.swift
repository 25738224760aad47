internal import DequeModule

/// Who holds the user lock of which key, and who waits for it. A value: no clock, no waiting, no I/O.
///
/// An entry exists exactly while somebody holds the lock or waits for it (I6). Acquires of one key share one *flight*:
/// the first starts it, later ones join it and get its outcome, until somebody else waits or the flight is fenced;
/// whoever comes after that waits in line.
struct UserLockTable {
    /// One caller's place; never used twice.
    typealias Ticket = UInt64

    /// How a caller wants the lock.
    enum Mode {
        /// An acquire: the outcome of a flight under way will do.
        case shared
        /// Nobody else may work on the key.
        case exclusive
    }

    /// How a caller came in.
    enum Admission: Equatable {
        /// The lock is theirs.
        case granted
        /// They will get the outcome of the flight under way.
        case joined
        /// They wait in line.
        case queued
        /// The queue is full.
        case refused
    }

    /// What a holder's leaving sets in motion.
    struct Handover: Equatable {
        /// They get the outcome.
        var settled: [Ticket] = []
        /// The new holder.
        var granted: Ticket?
        /// Whether the entry is gone.
        var removed = false
        /// How long the lock was held.
        var held: Duration = .zero
    }

    private struct Holder {
        var ticket: Ticket
        var operation: Operation
        var since: MonotonicInstant
        var isFlight: Bool
        var isFenced = false
    }

    private struct Waiter {
        var ticket: Ticket
        var operation: Operation
        var mode: Mode
        var since: MonotonicInstant
    }

    private struct Entry {
        var holder: Holder?
        /// Those who get the flight's outcome; its starter is among them, but waits for nobody.
        var joiners: [Ticket: MonotonicInstant] = [:]
        var queue: Deque<Waiter> = []
        var idleSince: MonotonicInstant
    }

    private var entries: [LeaseKey: Entry] = [:]
    private(set) var waiterCount = 0
    let waiterLimit: Int
    /// The leak of an earlier implementation, for drills: entries are never removed.
    let forgetsToRemove: Bool

    init(waiterLimit: Int, forgetsToRemove: Bool = false) {
        self.waiterLimit = waiterLimit
        self.forgetsToRemove = forgetsToRemove
    }

    var count: Int { entries.count }

    /// Lets `ticket` in. A shared caller that is granted the lock has started a flight and is its first joiner.
    mutating func enter(
        _ key: LeaseKey,
        _ ticket: Ticket,
        _ mode: Mode,
        for operation: Operation = .acquire,
        now: MonotonicInstant
    ) -> Admission {
        guard var entry = entries[key], let holder = entry.holder else {
            var entry = entries[key] ?? Entry(idleSince: now)
            Self.grant(ticket, mode, operation, in: &entry, now: now)
            entries[key] = entry
            return .granted
        }
        guard waiterCount < waiterLimit else { return .refused }
        waiterCount += 1
        let joins = mode == .shared && holder.isFlight && !holder.isFenced && entry.queue.isEmpty
        if joins {
            entry.joiners[ticket] = now
        } else {
            entry.queue.append(Waiter(ticket: ticket, operation: operation, mode: mode, since: now))
        }
        entries[key] = entry
        return joins ? .joined : .queued
    }

    /// Takes the lock only if nobody has it.
    mutating func tryHold(
        _ key: LeaseKey,
        _ ticket: Ticket,
        for operation: Operation = .reconcile,
        now: MonotonicInstant
    ) -> Bool {
        guard entries[key]?.holder == nil else { return false }
        return enter(key, ticket, .exclusive, for: operation, now: now) == .granted
    }

    /// Somebody no longer waits.
    ///
    /// - Returns: Whether they still did; `false` means that they were served before.
    mutating func leave(_ key: LeaseKey, _ ticket: Ticket) -> Bool {
        guard var entry = entries[key] else { return false }
        if entry.joiners.removeValue(forKey: ticket) != nil {
            if entry.holder?.ticket != ticket { waiterCount -= 1 }
        } else if let place = entry.queue.firstIndex(where: { $0.ticket == ticket }) {
            entry.queue.remove(at: place)
            waiterCount -= 1
        } else {
            return false
        }
        entries[key] = entry
        return true
    }

    /// Nobody joins the flight of `key` any more: what it brings is not what later callers want.
    mutating func fence(_ key: LeaseKey) {
        entries[key]?.holder?.isFenced = true
    }

    /// Whether the flight of `ticket` was fenced.
    func isFenced(_ key: LeaseKey, _ ticket: Ticket) -> Bool {
        guard let holder = entries[key]?.holder, holder.ticket == ticket else { return true }
        return holder.isFenced
    }

    /// Whether somebody holds the lock.
    func isHeld(_ key: LeaseKey) -> Bool { entries[key]?.holder != nil }

    /// Who holds the lock, and how many wait; `nil` if nobody does.
    func hold(of key: LeaseKey, now: MonotonicInstant) -> UserLockHold? {
        guard let entry = entries[key], let holder = entry.holder else { return nil }
        // Its starter waits for nobody, but for a flight that goes on without it nobody else may be there.
        let joiners = entry.joiners.count - (entry.joiners[holder.ticket] == nil ? 0 : 1)
        return UserLockHold(
            operation: holder.operation,
            age: now - holder.since,
            waiters: joiners + entry.queue.count
        )
    }

    /// The holder is done: joiners are served, the next in line gets the lock, or the entry goes.
    mutating func finish(_ key: LeaseKey, _ ticket: Ticket, now: MonotonicInstant) -> Handover {
        guard var entry = entries[key], let holder = entry.holder, holder.ticket == ticket else {
            preconditionFailure("a user lock was given back by somebody who does not hold it")
        }
        var handover = Handover(settled: entry.joiners.keys.sorted(), held: now - holder.since)
        waiterCount -= entry.joiners.count - (entry.joiners[ticket] == nil ? 0 : 1)
        entry.joiners = [:]
        entry.holder = nil
        entry.idleSince = now
        if let next = entry.queue.popFirst() {
            waiterCount -= 1
            handover.granted = next.ticket
            Self.grant(next.ticket, next.mode, next.operation, in: &entry, now: now)
            Self.joinFollowers(of: next.mode, in: &entry)
        }
        handover.removed = entry.holder == nil && !forgetsToRemove
        entries[key] = handover.removed ? nil : entry
        return handover
    }

    /// Sizes and ages, for gauges; visits every entry.
    func gauges(now: MonotonicInstant) -> UserLockGauges {
        var gauges = UserLockGauges()
        gauges.waiters = waiterCount
        for entry in entries.values {
            if let holder = entry.holder {
                gauges.held += 1
                gauges.oldestHold = max(gauges.oldestHold, now - holder.since)
            } else {
                gauges.idle += 1
                gauges.oldestIdle = max(gauges.oldestIdle, now - entry.idleSince)
            }
            if let first = entry.queue.first { gauges.oldestWait = max(gauges.oldestWait, now - first.since) }
            for (ticket, since) in entry.joiners where ticket != entry.holder?.ticket {
                gauges.oldestWait = max(gauges.oldestWait, now - since)
            }
        }
        return gauges
    }

    private static func grant(
        _ ticket: Ticket,
        _ mode: Mode,
        _ operation: Operation,
        in entry: inout Entry,
        now: MonotonicInstant
    ) {
        entry.holder = Holder(ticket: ticket, operation: operation, since: now, isFlight: mode == .shared)
        if mode == .shared { entry.joiners[ticket] = now }
    }

    /// Those who waited right behind a new flight's starter, and want the same, join it.
    private static func joinFollowers(of mode: Mode, in entry: inout Entry) {
        guard mode == .shared else { return }
        while let follower = entry.queue.first, follower.mode == .shared {
            entry.queue.removeFirst()
            entry.joiners[follower.ticket] = follower.since
        }
    }
}
