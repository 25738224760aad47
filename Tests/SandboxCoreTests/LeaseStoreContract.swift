import SandboxCore
import TestSupport
import Testing

/// What every store must do, whatever keeps its truth. Another store runs the same suite by calling ``all(_:)`` with a
/// factory of its own; `pass` lets time go by on the clock of the store that was made.
struct LeaseStoreContract {
    /// A store, and how to let time pass for it.
    struct Subject {
        var store: any LeaseStore
        var pass: (Duration) async -> Void
    }

    let make: () async throws -> Subject

    /// Runs every part against stores of its own.
    static func all(_ make: @escaping () async throws -> Subject) async throws {
        let contract = LeaseStoreContract(make: make)
        try await contract.movesASlotFromReservationToLeaseToOutbox()
        try await contract.isIdempotent()
        try await contract.refusesStaleEpochs()
        try await contract.fencesReservations()
        try await contract.keepsSlotsOfOpenIntents()
        try await contract.offersWhatIsDue()
        try await contract.claimsKills()
        try await contract.listsByKey()
    }

    private func request(_ key: LeaseKey, _ token: String) -> ReservationRequest {
        ReservationRequest(
            key: key,
            owner: "me",
            token: CreationToken(token),
            limits: SlotLimits(perUser: 2, total: 3),
            intentDeadline: .seconds(195)
        )
    }

    private func record(_ key: LeaseKey, _ epoch: Epoch, _ token: String) -> LeaseRecord {
        LeaseRecord(
            key: key,
            epoch: epoch,
            token: CreationToken(token),
            sandbox: ProviderSandbox(
                id: SandboxID("sb-\(token)"),
                template: "base",
                envdAccessToken: Secret("s"),
                remainingLife: .seconds(800)
            ),
            createdAt: WallTime(sinceEpoch: .seconds(1_800_000_000)),
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
    }

    private func reserved(_ store: any LeaseStore, _ key: LeaseKey, _ token: String) async throws -> Epoch {
        let outcome = try await store.reserve(request(key, token))
        guard case .reserved(let epoch) = outcome else { throw StoreError("not reserved: \(outcome)") }
        return epoch
    }

    private func leased(_ store: any LeaseStore, _ key: LeaseKey, _ token: String) async throws -> Epoch {
        let epoch = try await reserved(store, key, token)
        #expect(try await store.commit(record(key, epoch, token)) == epoch)
        return epoch
    }

    private func movesASlotFromReservationToLeaseToOutbox() async throws {
        let store = try await make().store
        let key = try key()
        let epoch = try await reserved(store, key, "a")
        guard case .reservation(let held)? = try await store.lookup(key) else {
            Issue.record("no reservation")
            return
        }
        #expect(held.owner == "me" && held.epoch == epoch && held.token == CreationToken("a"))
        guard case .reservedElsewhere = try await store.reserve(request(key, "b")) else {
            Issue.record("reserved twice")
            return
        }
        #expect(try await store.commit(record(key, epoch, "a")) == epoch)
        guard case .lease(let found)? = try await store.lookup(key) else {
            Issue.record("no lease")
            return
        }
        #expect(found.sandbox.envdAccessToken == Secret("s") && found.epoch == epoch)
        guard case .leased = try await store.reserve(request(key, "b")) else {
            Issue.record("a leased key was reserved")
            return
        }
        guard case .ended(let ticket) = try await store.release(key, reason: .released) else {
            Issue.record("not ended")
            return
        }
        #expect(try await store.isTaken(CreationToken("a")))
        #expect(try await store.release(key, reason: .released) == .dying(CreationToken("a")))
        #expect(try await store.confirmKilled(ticket))
        #expect(try await !store.isTaken(CreationToken("a")))
        #expect(try await store.release(key, reason: .released) == .nothing)
    }

    private func isIdempotent() async throws {
        let store = try await make().store
        let key = try key()
        let epoch = try await reserved(store, key, "a")
        #expect(try await store.reserve(request(key, "a")) == .reserved(epoch))
        for _ in 0..<2 { #expect(try await store.commit(record(key, epoch, "a")) == epoch) }
        for _ in 0..<2 { #expect(try await store.extend(key, epoch: epoch, remaining: .seconds(900))) }
        for _ in 0..<2 {
            #expect(try await store.setPaused(key, epoch: epoch, paused: true, remaining: .seconds(900)))
        }
        #expect(store.usage().paused == 1 && store.usage().active == 0)
        #expect(try await store.forget(key, epoch: epoch))
        #expect(try await !store.forget(key, epoch: epoch))
        for _ in 0..<2 { try await store.abandon(key, token: CreationToken("a")) }
        #expect(store.usage() == StoreUsage())
    }

    private func refusesStaleEpochs() async throws {
        let store = try await make().store
        let key = try key()
        let epoch = try await leased(store, key, "a")
        let stale = Epoch(epoch.rawValue - 1)
        #expect(try await store.end(key, epoch: stale, idleFor: nil, reason: .idle) == nil)
        #expect(try await !store.forget(key, epoch: stale))
        #expect(try await !store.extend(key, epoch: stale, remaining: .seconds(9)))
        #expect(try await !store.setPaused(key, epoch: stale, paused: true, remaining: .seconds(9)))
        #expect(try await store.end(key, epoch: epoch, idleFor: .seconds(1), reason: .idle) == nil, "in use")
        #expect(store.usage().active == 1)
    }

    private func fencesReservations() async throws {
        let store = try await make().store
        let key = try key()
        let epoch = try await reserved(store, key, "a")
        #expect(try await store.release(key, reason: .released) == .fenced(CreationToken("a")))
        let second = try await reserved(store, key, "b")
        #expect(second > epoch)
        #expect(try await store.commit(record(key, epoch, "a")) == nil)
        #expect(store.usage().outbox == 1 && store.usage().slots == 2 && store.usage().reservations == 1)
        guard
            case .limited(let denial) = try await store.reserve(
                request(try LeaseKey(user: key.user, project: "x"), "c")
            )
        else {
            Issue.record("not limited")
            return
        }
        #expect(denial.scope == .user && denial.inUse == 2 && denial.releasing == 1)
    }

    private func keepsSlotsOfOpenIntents() async throws {
        let subject = try await make()
        let store = subject.store
        let key = try key()
        _ = try await reserved(store, key, "a")
        #expect(try await store.dueIntents(limit: 9, claim: .seconds(5)).isEmpty)
        try await store.detachIntent(key, token: CreationToken("a"))
        #expect(try await store.lookup(key) == nil)
        #expect(try await store.isTaken(CreationToken("a")))
        let due = try await store.dueIntents(limit: 9, claim: .seconds(5))
        #expect(due.map(\.token) == [CreationToken("a")])
        #expect(try await store.dueIntents(limit: 9, claim: .seconds(5)).isEmpty, "claimed")
        let intent = try #require(due.first)
        let found = [SandboxID("x"), SandboxID("y")]
        try await store.resolveIntent(intent, found: found)
        try await store.resolveIntent(intent, found: found)
        #expect(store.usage().intents == 0 && store.usage().outbox == 2 && store.usage().slots == 1)
        for ticket in try await store.dueKills(limit: 9, claim: .seconds(5)) {
            #expect(try await store.confirmKilled(ticket))
        }
        #expect(store.usage() == StoreUsage())
    }

    private func offersWhatIsDue() async throws {
        let subject = try await make()
        let store = subject.store
        let idle = try await leased(store, try key("a"), "a")
        let busy = try await leased(store, try key("b"), "b")
        await subject.pass(.seconds(501))
        try await store.touch([LeaseUse(key: try key("b"), epoch: busy, age: .seconds(1))])
        let due = try await store.dueLeases(limit: 9)
        #expect(due.map(\.record.epoch) == [idle] && due.map(\.reason) == [.idle])
        let ended = try await store.end(try key("a"), epoch: idle, idleFor: .seconds(500), reason: .idle)
        #expect(ended?.sandbox == SandboxID("sb-a"))
        #expect(try await store.end(try key("b"), epoch: busy, idleFor: .seconds(500), reason: .idle) == nil)
    }

    private func claimsKills() async throws {
        let subject = try await make()
        let store = subject.store
        let ticket = KillTicket(sandbox: SandboxID("x"), token: nil, key: nil, reason: .orphan)
        for _ in 0..<2 { try await store.enqueueKill(ticket) }
        #expect(try await store.dueKills(limit: 9, claim: .seconds(5)) == [ticket])
        #expect(try await store.dueKills(limit: 9, claim: .seconds(5)).isEmpty)
        await subject.pass(.seconds(6))
        #expect(try await store.dueKills(limit: 9, claim: .seconds(5)).count == 1)
        try await store.deferKill(ticket, by: .seconds(60))
        await subject.pass(.seconds(59))
        #expect(try await store.dueKills(limit: 9, claim: .seconds(5)).isEmpty)
        await subject.pass(.seconds(2))
        #expect(try await store.dueKills(limit: 9, claim: .seconds(5)).map(\.attempts) == [1])
        #expect(try await store.confirmKilled(ticket))
        #expect(try await !store.confirmKilled(ticket))
    }

    private func listsByKey() async throws {
        let store = try await make().store
        for name in ["c", "a", "b"] { _ = try await leased(store, try key(name), name) }
        let first = try await store.list(user: nil, limit: 2, after: nil)
        #expect(first.leases.map(\.key.user) == ["a", "b"])
        let rest = try await store.list(user: nil, limit: 2, after: first.cursor)
        #expect(rest.leases.map(\.key.user) == ["c"] && rest.cursor == nil)
        #expect(try await store.list(user: "b", limit: 2, after: nil).leases.count == 1)
    }
}

@Suite struct MemoryLeaseStoreTests {
    @Test func `the memory store keeps the contract of stores`() async throws {
        try await LeaseStoreContract.all {
            let time = ManualTime()
            return LeaseStoreContract.Subject(store: MemoryLeaseStore(time: time)) { time.advance(by: $0) }
        }
    }
}
