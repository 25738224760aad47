import StandIns
import Synchronization
import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1)))
struct FailoverLeaseStoreTests {
    // MARK: One truth

    @Test func `L4: a key leased by one replica is found by the other`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        let second = try await fleet.b.manager.acquire(try key())
        #expect(second.sandbox.id == first.sandbox.id && second.source == .reconnected)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `I1: what one replica released is not handed out fresh by another`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) != nil)
        #expect(try await fleet.a.manager.release(try key()) == .released)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id != first.sandbox.id)
    }

    @Test func `I1: without the word of others a copy is checked each time, and served if it is still leased`()
        async throws
    {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        let again = try await fleet.b.manager.acquire(try key())
        #expect(again.sandbox.id == first.sandbox.id && again.source == .memory)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil, "checked each time")
        fleet.b.connection.say(.listening)
        _ = try await fleet.b.manager.acquire(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) != nil, "checked once")
    }

    @Test func `I1: a copy whose end was missed is dropped when it is checked`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        // Ended without a word to anybody.
        _ = fleet.server.books.release(try key(), reason: .released)
        fleet.b.connection.say(.listening)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id != first.sandbox.id)
    }

    @Test func `K5: a sandbox paused through one replica is not handed out as fresh by another`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        _ = try await fleet.a.manager.pause(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).source == .reconnected)
    }

    @Test func `K5: who resumes what another replica has just resumed gets it all the same`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.a.manager.pause(try key())
        fleet.provider.hold(.connect)
        let (manager, key) = (fleet.a.manager, try key())
        let resuming = Task { try await manager.acquire(key) }
        let call = await fleet.provider.nextHeld(.connect)
        fleet.provider.unhold(.connect)
        // Its word drops the first replica's copy, whose own call is still under way.
        #expect(try await fleet.b.manager.acquire(key).sandbox.id == first.sandbox.id)
        call?.resume()
        let grant = try await resuming.value
        #expect(grant.sandbox.id == first.sandbox.id && grant.epoch == first.epoch)
    }

    @Test func `I7: a lease whose life one replica extended is not ended by another's older copy`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        for _ in 0..<4 {
            fleet.time.advance(by: .seconds(250))
            _ = try await fleet.a.manager.acquire(try key())
            await fleet.a.manager.round(.extender)
        }
        // B's copy believes the sandbox's life is over.
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `I7: a key used only through one replica is not reaped by another`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        let first = try await fleet.a.manager.acquire(try key())
        for _ in 0..<12 {
            fleet.time.advance(by: .seconds(10))
            #expect(fleet.a.manager.acquireIfFresh(try key()) != nil, "nothing else tells the store")
            try await fleet.a.manager.flushUses()
            await fleet.b.manager.round(.reaper)
        }
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    // MARK: Away

    @Test func `I10: leases in memory are served while the store is away`() async throws {
        let fleet = try await Fleet(1)
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(fleet.a.store.mode == .degraded)
        #expect(fleet.a.manager.acquireIfFresh(try key())?.sandbox.id == first.sandbox.id)
        fleet.time.advance(by: .seconds(60))
        #expect(try await fleet.a.manager.acquire(try key()).source == .verified)
    }

    @Test func `I10: degraded, creates go on with a replica's share of the limits`() async throws {
        let fleet = try await Fleet(1, policy: .degrade(replicas: 2)) { $0.limits = SlotLimits(perUser: 9, total: 4) }
        await fleet.cut(fleet.a)
        for project in ["p1", "p2"] { _ = try await fleet.a.manager.acquire(try key("u", project)) }
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key("u", "p3")) }
        #expect(fleet.provider.count(of: .create) == 2)
    }

    @Test func `I1: degraded, a key is looked up at the provider before anything is created for it`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.b)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `where outages are refused, creates fail and leases in memory are served`() async throws {
        let fleet = try await Fleet(1, policy: .refuse)
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        fleet.time.advance(by: .seconds(60))
        #expect(try await fleet.a.manager.acquire(try key()).source == .verified)
        await #expect(
            throws: ManagerError.storeUnavailable("the store does not answer, and work without it is refused")
        ) {
            try await fleet.a.manager.acquire(try key("bob"))
        }
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `T2: after the first failure nobody asks the store again until it is back`() async throws {
        let fleet = try await Fleet(1)
        fleet.a.connection.fail(.unreachable)
        _ = try await fleet.a.manager.acquire(try key())
        let calls = fleet.a.connection.calls
        for project in ["p2", "p3"] { _ = try await fleet.a.manager.acquire(try key("bob", project)) }
        #expect(fleet.a.connection.calls == calls)
    }

    @Test func `T10: a store that is away at the start is used when it comes`() async throws {
        let fleet = try await Fleet(1, attached: false)
        await fleet.cut(fleet.a)
        #expect(fleet.a.store.mode == .degraded)
        let alone = try await fleet.a.manager.acquire(try key())
        await fleet.mend(fleet.a)
        #expect(fleet.a.store.mode == .redis)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else {
            Issue.record("the lease did not reach the store")
            return
        }
        #expect(record.sandbox.id == alone.sandbox.id && record.epoch == alone.epoch)
    }

    @Test func `I7: alone, only what was made alone is reaped: the rest may be in use elsewhere`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        let shared = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        await fleet.cut(fleet.a)
        let alone = try await fleet.a.manager.acquire(try key("bob"))
        for _ in 0..<5 {
            fleet.time.advance(by: .seconds(10))
            _ = try await fleet.b.manager.acquire(try key())
        }
        await fleet.a.manager.round(.reaper)
        #expect(await fleet.spawner.idle())
        #expect(try await fleet.provider.info(alone.sandbox.id, timeout: .seconds(1)) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == shared.sandbox.id)
        #expect(try await fleet.provider.info(shared.sandbox.id, timeout: .seconds(1)) != nil)
    }

    @Test func `I6: creations made alone are not remembered longer than their slots`() async throws {
        let fleet = try await Fleet(1)
        await fleet.cut(fleet.a)
        for project in ["p1", "p2"] { _ = try await fleet.a.manager.acquire(try key("u", project)) }
        #expect(fleet.a.store.state.withLock { $0.reservedAlone.count } == 2)
        _ = try await fleet.a.manager.release(try key("u", "p1"))
        #expect(fleet.a.store.state.withLock { $0.reservedAlone.count } == 1)
        fleet.provider.script(.create, .fail(Failures.http(400)))
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key("u", "p3")) }
        #expect(fleet.a.store.state.withLock { $0.reservedAlone.count } == 1)
        await fleet.mend(fleet.a)
        #expect(fleet.a.store.state.withLock { $0.reservedAlone.isEmpty })
    }

    @Test func `I7: alone, a sandbox past its known end is asked about before it is given up`() async throws {
        let fleet = try await Fleet()
        let shared = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        await fleet.cut(fleet.a)
        for _ in 0..<4 {
            fleet.time.advance(by: .seconds(250))
            _ = try await fleet.b.manager.acquire(try key())
            await fleet.b.manager.round(.extender)
        }
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == shared.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `I6: copies of leases that ended while nobody told are not kept`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        _ = fleet.server.books.release(try key(), reason: .released)
        fleet.b.connection.say(.listening)
        #expect(await fleet.spawner.idle())
        #expect(fleet.b.manager.leasesInMemory().isEmpty)
    }
}
