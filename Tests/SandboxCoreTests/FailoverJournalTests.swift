import StandIns
import Synchronization
import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// What a replica has to tell a store that was away, or that lost it.
@Suite(.timeLimit(.minutes(1)))
struct FailoverJournalTests {
    private func request(_ key: LeaseKey, _ token: String) -> ReservationRequest {
        ReservationRequest(
            key: key,
            owner: "replica-0",
            token: CreationToken(token),
            limits: SlotLimits(perUser: 9, total: 9),
            intentDeadline: .seconds(100)
        )
    }

    private func record(_ key: LeaseKey, _ epoch: Epoch, _ token: String) -> LeaseRecord {
        LeaseRecord(
            key: key,
            epoch: epoch,
            token: CreationToken(token),
            sandbox: ProviderSandbox(id: SandboxID("sb-\(token)"), template: "base", remainingLife: .seconds(800)),
            createdAt: WallTime(sinceEpoch: .zero),
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
    }

    private func reserve(_ fleet: Fleet, _ key: LeaseKey, _ token: String) async throws -> Epoch {
        guard case .reserved(let epoch) = try await fleet.a.store.reserve(request(key, token)) else {
            throw StoreError("not reserved")
        }
        return epoch
    }

    private func isJournalEmpty(_ fleet: Fleet) -> Bool { fleet.a.store.state.withLock { $0.journal.isEmpty } }

    @Test func `I3: whatever was to die, for whatever reason, is told to a store that lost it`() async throws {
        let fleet = try await Fleet(1)
        let store = fleet.a.store
        // A lease that ended.
        var epoch = try await reserve(fleet, try key("u1"), "ended")
        _ = try await store.commit(record(try key("u1"), epoch, "ended"))
        _ = try await store.end(try key("u1"), epoch: epoch, idleFor: nil, reason: .idle)
        // A creation that was released meanwhile.
        epoch = try await reserve(fleet, try key("u2"), "fenced")
        _ = try await store.release(try key("u2"), reason: .released)
        #expect(try await store.commit(record(try key("u2"), epoch, "fenced")) == nil)
        // What a creation of unknown outcome had made.
        _ = try await reserve(fleet, try key("u3"), "lost")
        try await store.detachIntent(try key("u3"), token: CreationToken("lost"))
        let intent = try #require(try await store.dueIntents(limit: 9, claim: .seconds(1)).first)
        try await store.resolveIntent(intent, found: [SandboxID("sb-lost")])
        // And one of nobody.
        try await store.enqueueKill(
            KillTicket(sandbox: SandboxID("sb-nobody"), token: nil, key: nil, reason: .orphan)
        )
        fleet.server.lose()
        await store.beat()
        let dying = fleet.server.books.dueKills(limit: 9, claim: .seconds(1)).map(\.sandbox.rawValue).sorted()
        #expect(dying == ["sb-ended", "sb-fenced", "sb-lost", "sb-nobody"])
        #expect(fleet.server.books.usage().intents == 0, "what is settled does not come back")
    }

    @Test func `I2: a creation that came to nothing while alone gives its slot back`() async throws {
        let fleet = try await Fleet(1)
        _ = try await reserve(fleet, try key(), "t")
        await fleet.cut(fleet.a)
        try await fleet.a.store.abandon(try key(), token: CreationToken("t"))
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage() == StoreUsage() && isJournalEmpty(fleet))
        _ = try await reserve(fleet, try key(), "t2")
        try await fleet.a.store.abandon(try key(), token: CreationToken("t2"))
        #expect(isJournalEmpty(fleet), "I6")
    }

    @Test func `I2: a creation whose outcome got lost while alone frees its key and keeps its slot`() async throws {
        let fleet = try await Fleet(1)
        _ = try await reserve(fleet, try key(), "t")
        await fleet.cut(fleet.a)
        try await fleet.a.store.detachIntent(try key(), token: CreationToken("t"))
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.lookup(try key()) == nil)
        #expect(fleet.server.books.usage().intents == 1 && fleet.server.books.usage().slots == 1)
    }

    @Test func `I4: what was found gone while alone is gone in the store afterwards`() async throws {
        let fleet = try await Fleet(1)
        let grant = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(try await fleet.a.store.forget(try key(), epoch: grant.epoch), "the books know what memory knew")
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage() == StoreUsage() && isJournalEmpty(fleet))
    }

    @Test func `I3: what is dying when the store goes away goes on dying alone`() async throws {
        let fleet = try await Fleet(1)
        _ = try await fleet.a.manager.acquire(try key())
        fleet.provider.script(.kill, .fail(Failures.reset(.kill)))
        #expect(try await fleet.a.manager.release(try key()) == .releasing)
        await fleet.cut(fleet.a)
        #expect(fleet.a.store.usage().outbox == 1)
        fleet.time.advance(by: .seconds(120))
        await fleet.a.manager.round(.outbox)
        #expect(fleet.provider.live.isEmpty)
    }

    @Test func `I1: what another replica released during an outage is not put back, also after an earlier loss`()
        async throws
    {
        let fleet = try await Fleet()
        fleet.server.lose()
        for replica in fleet.replicas { await replica.store.beat() }
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        _ = fleet.server.books.release(try key(), reason: .released)
        for kill in fleet.server.books.dueKills(limit: 9, claim: .seconds(1)) {
            _ = fleet.server.books.confirmKilled(kill)
        }
        fleet.time.advance(by: .seconds(30))
        for kill in fleet.server.books.dueKills(limit: 9, claim: .seconds(1)) {
            _ = fleet.server.books.confirmKilled(kill)
        }
        #expect(fleet.server.books.usage() == StoreUsage())
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `I10: a store that comes back empty after an outage is told of everything`() async throws {
        let fleet = try await Fleet(1)
        let known = try await fleet.a.manager.acquire(try key("alice"))
        await fleet.cut(fleet.a)
        fleet.server.lose()
        _ = try await fleet.a.manager.acquire(try key("bob"))
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().active == 2 && !fleet.a.store.isComplete)
        guard case .lease(let record)? = fleet.server.books.lookup(try key("alice")) else { throw StoreError("lost") }
        #expect(record.epoch == known.epoch)
    }

    @Test func `I1: a sandbox that another replica took over under another epoch is dropped from memory`() async throws
    {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        let held = try #require(fleet.a.manager.leasesInMemory().first)
        fleet.server.lose()
        #expect(fleet.server.books.adopt(held) != held.epoch)
        await fleet.a.store.beat()
        #expect(fleet.a.manager.leasesInMemory().isEmpty)
    }

    @Test func `I1: who had to tell of leases does not call the books complete, whatever others say`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        fleet.server.lose()
        await fleet.b.store.beat()
        try await fleet.b.store.markComplete(fleet.b.store.edition)
        await fleet.a.store.beat()
        #expect(fleet.b.store.isComplete && !fleet.a.store.isComplete)
    }

    @Test func `I7: nothing is due for ten seconds after a loss`() async throws {
        let fleet = try await Fleet(1) { $0.idleTimeout = .seconds(40) }
        _ = try await fleet.a.manager.acquire(try key())
        fleet.time.advance(by: .seconds(60))
        fleet.server.lose()
        await fleet.a.store.beat()
        #expect(try await fleet.a.store.dueLeases(limit: 9).isEmpty)
        fleet.time.advance(by: .milliseconds(9999))
        #expect(try await fleet.a.store.dueLeases(limit: 9).isEmpty)
        fleet.time.advance(by: .milliseconds(1))
        #expect(try await fleet.a.store.dueLeases(limit: 9).count == 1)
    }

    @Test func `I1: hearing is lost and found during an outage too; memory serves while it lasts`() async throws {
        let fleet = try await Fleet(1)
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        fleet.a.connection.say(.deaf)
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        await fleet.mend(fleet.a)
        _ = try await fleet.a.manager.acquire(try key())
        #expect(fleet.a.manager.acquireIfFresh(try key()) == nil, "still deaf")
        await fleet.cut(fleet.a)
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        fleet.a.connection.say(.listening)
        await fleet.mend(fleet.a)
        #expect(await fleet.spawner.idle(), "copies are checked by themselves")
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
    }

    @Test func `I7: uses that the store could not be told of are told the next time`() async throws {
        let fleet = try await Fleet(1)
        _ = try await fleet.a.manager.acquire(try key())
        fleet.time.advance(by: .seconds(10))
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        fleet.a.connection.fail(.refused)
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.flushUses() }
        fleet.a.connection.fail(nil)
        try await fleet.a.manager.flushUses()
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else { throw StoreError("no lease") }
        #expect(record.idle == .zero)
    }

    @Test func `I1: what another replica releases while it is read is not handed out`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        fleet.provider.hold(.info)
        let (manager, key) = (fleet.b.manager, try key())
        let reading = Task { try await manager.acquire(key) }
        let call = await fleet.provider.nextHeld(.info)
        fleet.provider.unhold(.info)
        // The sandbox outlives its lease for a while.
        fleet.provider.script(.kill, .fail(Failures.reset(.kill)))
        #expect(try await fleet.a.manager.release(key) == .releasing)
        call?.resume()
        await #expect(throws: ManagerError.staleEpoch) { try await reading.value }
        #expect(fleet.b.manager.leasesInMemory().isEmpty)
    }

    @Test func `O8: a replica that ends kills what it served, and nothing of the others`() async throws {
        let fleet = try await Fleet { $0.shutdownKillsSandboxes = true }
        let mine = try await fleet.a.manager.acquire(try key("alice"))
        let other = try await fleet.b.manager.acquire(try key("bob"))
        await fleet.a.manager.shutdown()
        #expect(fleet.provider.live[mine.sandbox.id] == nil && fleet.provider.live[other.sandbox.id] != nil)
        #expect(fleet.server.books.usage().active == 1)
    }

    @Test func `L4 I1: a copy gives way to the lease that another replica made, heard of or not`() async throws {
        let fleet = try await Fleet(1)
        let key = try key()
        let old = try await fleet.a.manager.acquire(key)
        fleet.a.connection.say(.deaf)
        let books = fleet.server.books
        guard case .lease(var record)? = books.lookup(key) else { throw StoreError("no lease") }
        _ = books.release(key, reason: .released)
        var order = try #require(fleet.provider.live[old.sandbox.id]?.order)
        order.labels.token = CreationToken("another's")
        let new = fleet.provider.plant(order)
        record.token = order.labels.token
        record.sandbox = try #require(fleet.provider.live[new]?.sandbox)
        _ = books.adopt(record)
        #expect(try await fleet.a.manager.acquire(key).sandbox.id == new)
    }
}
