internal import SandboxCore

extension LeaseStoreContract {
    /// A creation of unknown outcome keeps its slot until somebody found out (I4).
    public func keepsSlotsOfOpenIntents() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let token = CreationToken("a")
            let epoch = try await subject.reserved(key, "a")
            try check(try await store.dueIntents(limit: 9, claim: .seconds(30)).isEmpty)
            try await store.detachIntent(key, token: token)
            try check(try await store.lookup(key) == nil)
            try check(try await store.isTaken(token))
            try check(try await store.release(key, reason: .released) == .dying(token))
            let due = try await store.dueIntents(limit: 9, claim: .seconds(30))
            try check(due.map(\.token) == [token] && due.map(\.epoch) == [epoch] && due.map(\.key) == [key])
            try check(due.map(\.isHeld) == [false])
            try check(due.allSatisfy { $0.age >= .zero && $0.age < .seconds(30) })
            try check(try await subject.other.dueIntents(limit: 9, claim: .seconds(30)).isEmpty, "claimed")
            let found = [SandboxID("x"), SandboxID("y")]
            for _ in 0..<2 { try await store.resolveIntent(due[0], found: found) }
            let usage = try await subject.usage()
            try check(usage.intents == 0 && usage.outbox == 2 && usage.slots == 1)
            for ticket in try await store.dueKills(limit: 9, claim: .seconds(30)) {
                try check(ticket.key == key && ticket.reason == .orphan)
                try check((ticket.token == token) == (ticket.sandbox == found[0]))
                try check(try await store.confirmKilled(ticket))
            }
            try await subject.checkEmpty()
        }
    }

    /// An intent that nobody detached is due after its deadline, still held; resolving it as absent frees all.
    public func offersOverdueIntents() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            var request = subject.request(key, "a")
            request.intentDeadline = subject.units(20)
            guard case .reserved = try await store.reserve(request) else {
                throw ContractBreach(description: "not reserved")
            }
            try await subject.pass(subject.units(21))
            let due = try await store.dueIntents(limit: 9, claim: subject.units(20))
            try check(due.map(\.isHeld) == [true])
            try check(due.allSatisfy { $0.age >= subject.units(20) })
            try check(try await store.dueIntents(limit: 9, claim: .seconds(30)).isEmpty, "claimed")
            try await subject.pass(subject.units(21))
            try check(try await store.dueIntents(limit: 9, claim: .seconds(30)).count == 1, "claims end")
            try await store.resolveIntent(due[0], found: [])
            try check(try await store.lookup(key) == nil)
            try await subject.checkEmpty()
        }
    }

    /// Leases are offered when they are idle or expired, not when they were used meanwhile (I7, K1).
    public func offersWhatIsDue() async throws {
        try await run { subject in
            let store = subject.store
            let idle = try await subject.leased(try subject.key("a"), "a")
            let busy = try await subject.leased(try subject.key("b"), "b")
            let shortKey = try subject.key("c")
            var short = subject.record(shortKey, try await subject.reserved(shortKey, "c"), "c")
            short.sandbox.remainingLife = subject.units(30)
            _ = try await store.commit(short)
            try check(try await store.dueLeases(limit: 9).isEmpty)
            try await subject.pass(subject.units(51))
            try await store.touch([LeaseUse(key: try subject.key("b"), epoch: busy, age: .zero)])
            let due = try await store.dueLeases(limit: 9).sorted { $0.record.key.user < $1.record.key.user }
            try check(due.map(\.record.epoch) == [idle, short.epoch] && due.map(\.reason) == [.idle, .expired])
            try check(due.allSatisfy { $0.record.idle >= subject.units(51) })
            try check(try await store.dueLeases(limit: 9).isEmpty, "offered again at once")
            let limit = subject.units(50)
            let ended = try await store.end(try subject.key("a"), epoch: idle, idleFor: limit, reason: .idle)
            try check(ended == subject.ticket("a", try subject.key("a"), reason: .idle, epoch: idle))
            try check(try await store.end(try subject.key("b"), epoch: busy, idleFor: limit, reason: .idle) == nil)
            try check(try await store.dueKills(limit: 9, claim: .seconds(5)).isEmpty, "whoever ended it has it")
        }
    }

    /// A paused lease is not idle, keeps its slot, and is due when its own time is over (K5).
    public func pauses() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.leased(key, "a")
            try check(try await store.setPaused(key, epoch: epoch, paused: true, remaining: subject.units(100)))
            try check(try await subject.lease(of: key).isPaused)
            let usage = try await subject.usage()
            try check(usage.paused == 1 && usage.active == 0 && usage.slots == 1)
            try await subject.pass(subject.units(55))
            try check(try await store.dueLeases(limit: 9).isEmpty, "a paused lease is not idle")
            try check(try await store.setPaused(key, epoch: epoch, paused: false, remaining: subject.units(60)))
            try check(try await !subject.lease(of: key).isPaused)
            try check(try await store.dueLeases(limit: 9).map(\.reason) == [.idle])
            try check(try await store.setPaused(key, epoch: epoch, paused: true, remaining: subject.units(10)))
            try await subject.pass(subject.units(11))
            try check(try await store.dueLeases(limit: 9).map(\.reason) == [.expired])
            guard case .ended(let ticket) = try await store.release(key, reason: .released) else {
                throw ContractBreach(description: "not ended")
            }
            try check(try await store.confirmKilled(ticket))
            try await subject.checkEmpty()
        }
    }

    /// A kill is one replica's at a time, and comes back until it is confirmed (O3).
    public func claimsKills() async throws {
        try await run { subject in
            let store = subject.store
            let ticket = KillTicket(sandbox: SandboxID("x"), token: nil, key: nil, reason: .orphan)
            try await store.enqueueKill(ticket)
            try check(try await store.dueKills(limit: 9, claim: subject.units(20)) == [ticket])
            try check(try await subject.other.dueKills(limit: 9, claim: subject.units(20)).isEmpty, "claimed")
            try await subject.pass(subject.units(21))
            try check(try await store.dueKills(limit: 9, claim: .seconds(30)).count == 1)
            try await store.deferKill(ticket, by: subject.units(40))
            try await subject.pass(subject.units(5))
            try check(try await store.dueKills(limit: 9, claim: .seconds(5)).isEmpty, "deferred")
            try await subject.pass(subject.units(36))
            try check(try await store.dueKills(limit: 9, claim: .seconds(5)).map(\.attempts) == [1])
            try check(try await subject.usage().oldestKill >= subject.units(60))
            try check(try await store.confirmKilled(ticket))
            try check(try await !store.confirmKilled(ticket))
            try await store.deferKill(ticket, by: .zero)
            try await subject.checkEmpty()
        }
    }

    /// A sandbox condemned without its slot takes the slot along as soon as it is known (I4).
    public func findsTheSlotOfTheCondemned() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            try await store.detachIntent(key, token: CreationToken("a"))
            try await store.enqueueKill(
                KillTicket(sandbox: SandboxID("x"), token: nil, key: nil, reason: .orphan)
            )
            let intent = Intent(token: CreationToken("a"), key: key, epoch: epoch, age: .zero)
            try await store.resolveIntent(intent, found: [SandboxID("x")])
            try check(try await store.isTaken(CreationToken("a")))
            try check(try await store.release(key, reason: .released) == .dying(CreationToken("a")))
            let kills = try await store.dueKills(limit: 9, claim: .seconds(5))
            try check(kills.map(\.token) == [CreationToken("a")] && kills.map(\.key) == [key])
            try check(try await store.confirmKilled(kills[0]))
            try await subject.checkEmpty()
        }
    }

    /// What is leased, being made or condemned is in the books; what is none of these is not (I3).
    public func accountsForSandboxes() async throws {
        try await run { subject in
            let store = subject.store
            let (alice, bob) = (try subject.key("alice"), try subject.key("bob"))
            func unaccounted(_ token: String, _ sandbox: String, _ key: LeaseKey) async throws -> Bool {
                let listed = ListedSandbox(id: SandboxID(sandbox), token: CreationToken(token), key: key)
                let other = ListedSandbox(id: SandboxID("stray"), token: CreationToken("s"), key: key)
                let strays = try await store.unaccounted([other, listed])
                try check(strays.contains(other.id), "a stray is never in the books")
                return strays.contains(listed.id)
            }
            try check(try await unaccounted("a", "sb-a", alice))
            let epoch = try await subject.reserved(alice, "a")
            try check(try await !unaccounted("a", "sb-a", alice), "its creation is under way")
            try check(try await store.commit(subject.record(alice, epoch, "a")) == epoch)
            try check(try await !unaccounted("a", "sb-a", alice))
            try check(try await !unaccounted("a", "sb-a", bob), "its slot says whose it is, whatever its labels say")
            try check(try await !unaccounted("x", "sb-a", alice), "adopted under another slot")
            try check(try await unaccounted("a", "sb-twin", alice), "a second one under the same token")
            _ = try await store.release(alice, reason: .released)
            try check(try await !unaccounted("a", "sb-a", alice), "condemned")
            try check(try await store.confirmKilled(subject.ticket("a", alice)))
            try check(try await unaccounted("a", "sb-a", alice))
            try await store.enqueueKill(KillTicket(sandbox: SandboxID("sb-b"), token: nil, key: nil, reason: .orphan))
            try check(try await !unaccounted("b", "sb-b", bob), "condemned without a slot")
            try check(try await store.unaccounted([]).isEmpty)
        }
    }
}
