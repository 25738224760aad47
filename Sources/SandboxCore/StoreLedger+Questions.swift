// What callers ask without changing anything.
extension StoreLedger {
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
            .filter { key in user.map { $0 == key.user } ?? !key.isWarm }
            .filter { key in !key.isWarm || members.contains(key) }
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
        usage.largestUser = users.reduce(0) { $1.key == LeaseKey.warmUser ? $0 : max($0, $1.value.taken) }
        // A member that nobody can claim is perhaps somebody's.
        usage.active = activeCount - members.count
        usage.warm = members.count
        usage.paused = pausedCount
        usage.reservations = holdings.count - activeCount - pausedCount
        usage.outbox = outbox.count
        usage.oldestKill = outbox.values.reduce(.zero) { max($0, now - $1.since) }
        usage.intents = intents.count
        usage.warmPending = intents.count { token, open in
            guard open.key.isWarm, case .reservation(token) = holdings[open.key] else { return false }
            return true
        }
        usage.oldestIntent = intents.values.reduce(.zero) { max($0, now - $1.since) }
        return usage
    }

    /// How many entries each collection here has, for a test that nothing stays behind.
    var isEmpty: Bool {
        holdings.isEmpty && slots.isEmpty && users.isEmpty && intents.isEmpty && outbox.isEmpty
    }
}
