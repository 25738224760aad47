// What callers ask without changing anything.
extension StoreLedger {
    func isTaken(_ slot: CreationToken) -> Bool { slots[slot] != nil }

    func unaccounted(_ listed: [ListedSandbox]) -> Set<SandboxID> {
        Set(listed.lazy.filter { !isAccounted($0) }.map(\.id))
    }

    private func isAccounted(_ listed: ListedSandbox) -> Bool {
        if outbox[listed.id] != nil || intents[listed.token] != nil { return true }
        // Leased to whoever holds its slot; or under another slot, to the key that it was made for.
        return [slots[listed.token], listed.key].contains { key in
            guard let key, case .lease(let kept) = holdings[key] else { return false }
            return kept.record.sandbox.id == listed.id
        }
    }

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
        // The colon comes before the semicolon: whose keys are skipped or wanted, lie side by side.
        let start = user.map { "\($0):" } ?? "\(LeaseKey.warmUser);"
        var page = LeasePage(leases: [], cursor: nil)
        for key in leased.keys(after: max(start, cursor ?? "")) {
            guard user == nil || key.user == user else { break }
            guard !key.isWarm || members.contains(key), case .lease(let kept) = holdings[key] else { continue }
            // One more lease than asked for exists: so there is another page.
            if page.leases.count == limit {
                page.cursor = page.leases.last?.key.canonical
                break
            }
            page.leases.append(kept.current(now: now))
        }
        return page
    }

    func account(of key: LeaseKey, now: MonotonicInstant) -> KeyAccount {
        var account = KeyAccount()
        account.userSlots = users[key.user]?.taken ?? 0
        account.userReleasing = users[key.user]?.releasing.count ?? 0
        for (token, open) in intents where open.key == key {
            var isHeld = false
            if case .reservation(token) = holdings[key] { isHeld = true }
            account.intents.append(
                KeyAccount.OpenIntent(token: token, owner: open.owner, age: now - open.since, isHeld: isHeld)
            )
        }
        for entry in outbox.values where entry.ticket.key == key {
            account.kills.append(
                KeyAccount.Kill(ticket: entry.ticket, age: now - entry.since, nextIn: max(.zero, entry.dueAt - now))
            )
        }
        account.intents.sort { $0.age > $1.age }
        account.kills.sort { $0.age > $1.age }
        return account
    }

    func usage(now: MonotonicInstant) -> StoreUsage {
        var usage = StoreUsage()
        usage.slots = slots.count
        usage.largestUser = holders.most
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
