// The explanation in words: sentences that somebody understands who was asleep a minute ago.

extension KeyExplanation {
    /// What is the matter with the key, most important first; ids and numbers, no secrets.
    public var summary: [String] {
        standing + holding + work + dying + probing + limits + [lastEvent]
    }

    // MARK: The manager as a whole

    private var standing: [String] {
        var sentences: [String] = []
        if isDraining { sentences.append("This manager is draining: it starts no new work.") }
        if areCreationsStopped {
            sentences.append("An operator stopped creations: whoever has no lease gets none until they are resumed.")
        }
        if storeMode == .degraded {
            sentences.append("The shared store is away: this is what this manager knows by itself.")
        }
        switch breaker {
        case .closed: break
        case .open:
            sentences.append("The breaker before the provider is open: nothing is created until it has recovered.")
        case .halfOpen:
            sentences.append("The breaker before the provider is half open: a few calls are let through as a trial.")
        }
        return sentences
    }

    // MARK: What the key holds

    private var holding: [String] {
        if let lease { return leased(lease) }
        if let reservation {
            return [
                "A sandbox is being created for this key by \(reservation.owner): whoever asks waits for it. "
                    + (reservation.remaining > .zero
                        ? "If nothing comes of it, it is looked up at the provider in \(reservation.remaining.inWords)."
                        : "It is overdue and is looked up at the provider.")
            ]
        }
        if let unverified {
            return [
                "An earlier manager noted sandbox \(unverified) for this key: the next acquire verifies its owner "
                    + "and takes it over."
            ]
        }
        return ["Nobody holds a lease for this key."]
    }

    private func leased(_ lease: LeaseDescription) -> [String] {
        let record = lease.record
        let left = lease.expiresAt - at
        let state = record.isPaused ? "is paused" : "runs"
        var sentence = "The key holds sandbox \(record.sandbox.id), which \(state); it was last used "
        sentence += "\((at - lease.lastUsedAt).inWords) ago and "
        if left <= .zero {
            sentence += "is past its end: it is about to be replaced or reaped."
        } else {
            sentence += "ends in \(left.inWords) unless it is used."
        }
        guard !isInMemory else { return [sentence] }
        let absent = "This manager has no copy of the lease: the next acquire here checks it at the provider first."
        return [sentence, absent]
    }

    // MARK: Who works on it

    private var work: [String] {
        guard let lock else { return [] }
        let waiting =
            switch lock.waiters {
            case 0: "nobody waits for it"
            case 1: "1 other waits for it"
            default: "\(lock.waiters) others wait for it"
            }
        let what = lock.operation.rawValue.split(separator: "_").joined(separator: " ")
        return ["The key's lock has been held for \(lock.age.inWords) by an operation of kind \(what); \(waiting)."]
    }

    private var dying: [String] {
        let open = intents.filter { !$0.isHeld }.map { intent in
            "A creation of unknown outcome has been open for \(intent.age.inWords): its slot stays taken until the "
                + "provider says what became of it."
        }
        return kills.map(sentence(of:)) + open
    }

    private func sentence(of kill: KeyAccount.Kill) -> String {
        let ticket = kill.ticket
        var sentence = "Sandbox \(ticket.sandbox) has been dying for \(kill.age.inWords) (\(ticket.reason.rawValue))"
        if ticket.attempts > 0 {
            sentence += ": \(count(ticket.attempts, "attempt")) failed"
            if let failure = ticket.lastFailure { sentence += ", the last with \(failure.rawValue)" }
        }
        sentence += "; the next attempt is \(kill.nextIn > .zero ? "in \(kill.nextIn.inWords)" : "due")"
        return sentence + (ticket.token == nil ? "." : ". Its slot is free once its death is confirmed.")
    }

    // MARK: Health

    private var probing: [String] {
        guard let probe else { return [] }
        var sentence = "The last probe, \(probe.age.inWords) ago, said \(probe.verdict.rawValue)"
        if probe.sickInARow > 0 {
            sentence += ": \(count(probe.sickInARow, "sick verdict")) in a row; "
            sentence += "\(HealthHistory.sickCount) over \(HealthHistory.sickSpan.inWords) replace the sandbox"
        } else if probe.silentInARow > 0 {
            sentence += ": \(count(probe.silentInARow, "probe")) in a row without an answer; "
            sentence += "after \(HealthHistory.silence.inWords) of silence the control plane is asked"
        }
        return [sentence + "."]
    }

    // MARK: Limits

    private var limits: [String] {
        let limit = slots.limits
        var sentence = "The user holds \(slots.user) of \(count(limit.perUser, "slot"))"
        if slots.userReleasing > 0 { sentence += ", \(slots.userReleasing) of them of sandboxes that are dying" }
        sentence += "; all users together hold \(slots.total) of \(limit.total)"
        var sentences = [sentence + (lease == nil && reservation == nil ? nextAcquire : ".")]
        if nextCreation > .zero {
            sentences.append("The user creates too fast: the next creation is possible in \(nextCreation.inWords).")
        }
        if providerPause > .zero {
            sentences.append("The provider asked for a pause: nothing is created for \(providerPause.inWords).")
        }
        return sentences
    }

    /// What the limits mean for somebody who has no lease.
    private var nextAcquire: String {
        let isOnlyReleasing = slots.userReleasing > 0
        if slots.user >= slots.limits.perUser {
            let isFreeSoon = slots.user - slots.userReleasing < slots.limits.perUser
            return isFreeSoon
                ? ": the next acquire waits until a dying sandbox is confirmed dead."
                : ": the next acquire is refused with user_limit until one is released."
        }
        if slots.total >= slots.limits.total {
            let isFreeSoon = isOnlyReleasing && slots.total - slots.userReleasing < slots.limits.total
            return isFreeSoon
                ? ": the next acquire waits until a dying sandbox of the user is confirmed dead."
                : ": the next acquire is refused with total_limit until somebody releases one."
        }
        return ": no limit is in the way of the next acquire."
    }

    // MARK: What happened

    private var lastEvent: String {
        guard let event = events.last else { return "This manager remembers nothing that happened to the key." }
        return "The last that happened, \((at - event.at).inWords) ago: \(event.text)."
    }

    private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}

extension Duration {
    /// `0.3 s`, `12 s`, `4 min`, `2 h`: rounded, for eyes.
    var inWords: String {
        let tenths = max(0, Int((self / .milliseconds(100)).rounded()))
        switch tenths {
        case ..<100: return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
        case ..<1200: return "\((tenths + 5) / 10) s"
        case ..<72_000: return "\((tenths + 300) / 600) min"
        default: return "\((tenths + 18_000) / 36_000) h"
        }
    }
}
