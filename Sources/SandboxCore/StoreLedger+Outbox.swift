// The kill outbox and open intents.
extension StoreLedger {
    mutating func condemn(_ ticket: KillTicket, now: MonotonicInstant, claim: Duration = .zero) {
        if let token = ticket.token { markReleasing(token) }
        guard let present = outbox[ticket.sandbox] else {
            outbox[ticket.sandbox] = Condemned(ticket: ticket, since: now, dueAt: now + claim)
            return
        }
        // Condemned before, by somebody who knew of no slot: its death must free this one.
        if present.ticket.token == nil {
            outbox[ticket.sandbox]?.ticket.token = ticket.token
            outbox[ticket.sandbox]?.ticket.key = present.ticket.key ?? ticket.key
            outbox[ticket.sandbox]?.ticket.epoch = present.ticket.epoch ?? ticket.epoch
        }
    }

    mutating func markReleasing(_ slot: CreationToken) {
        guard let key = slots[slot] else { return }
        changeUser(key.user) { $0.releasing.insert(slot) }
    }

    mutating func enqueueKill(_ ticket: KillTicket, now: MonotonicInstant) {
        condemn(ticket, now: now)
    }

    mutating func dueKills(limit: Int, claim: Duration, now: MonotonicInstant) -> [KillTicket] {
        let due = outbox.values.filter { $0.dueAt <= now }.sorted { $0.dueAt < $1.dueAt }.prefix(limit)
        for entry in due { outbox[entry.ticket.sandbox]?.dueAt = now + claim }
        return due.map(\.ticket)
    }

    mutating func confirmKilled(_ ticket: KillTicket) -> Bool {
        guard let entry = outbox.removeValue(forKey: ticket.sandbox) else { return false }
        outbox.giveRoomBack()
        if let token = entry.ticket.token { free(token) }
        return true
    }

    mutating func deferKill(_ ticket: KillTicket, by delay: Duration, now: MonotonicInstant) {
        guard let present = outbox[ticket.sandbox] else { return }
        // Counted from the ticket that failed: the repetition of a call whose reply was lost counts once.
        outbox[ticket.sandbox]?.ticket.attempts = max(present.ticket.attempts, ticket.attempts + 1)
        outbox[ticket.sandbox]?.ticket.lastFailure = ticket.lastFailure
        outbox[ticket.sandbox]?.dueAt = now + delay
    }

    mutating func dueIntents(limit: Int, claim: Duration, now: MonotonicInstant) -> [Intent] {
        let due = intents.filter { $0.value.dueAt <= now }.sorted { $0.value.since < $1.value.since }.prefix(limit)
        for (token, _) in due { intents[token]?.dueAt = now + claim }
        return due.map { token, open in
            var isHeld = false
            if case .reservation(token) = holdings[open.key] { isHeld = true }
            return Intent(token: token, key: open.key, epoch: open.epoch, age: now - open.agesFrom, isHeld: isHeld)
        }
    }

    mutating func resolveIntent(_ intent: Intent, found: [SandboxID], now: MonotonicInstant) {
        guard let open = intents.removeValue(forKey: intent.token) else { return }
        intents.giveRoomBack()
        if case .reservation(intent.token) = holdings[intent.key] { holdings[intent.key] = nil }
        guard let first = found.first else { return free(intent.token) }
        for sandbox in found {
            let token = sandbox == first ? intent.token : nil
            let ticket = KillTicket(
                sandbox: sandbox,
                token: token,
                key: intent.key,
                reason: .orphan,
                epoch: open.epoch
            )
            condemn(ticket, now: now)
        }
    }
}
