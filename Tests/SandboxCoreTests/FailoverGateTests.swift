import StandIns
import Synchronization
import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// Waiting for a store of which nobody knows yet whether it answers, or that is being told what it lacks.
@Suite(.timeLimit(.minutes(1)))
struct FailoverGateTests {
    /// Callers that reached the gate; each has a timer of its own there.
    private func atTheGate(_ count: Int, _ fleet: Fleet) async -> Bool {
        guard await eventually({ fleet.a.store.state.withLock { $0.waiting.count } >= count }) else { return false }
        return await fleet.time.sleepers(atLeast: count)
    }

    @Test func `I9: an acquire waits at most three seconds for a store that nobody has reached yet`() async throws {
        let fleet = try await Fleet(1, attached: false)
        let manager = fleet.a.manager
        let key = try key()
        let acquiring = Task { try await manager.acquire(key) }
        // Only then: the three seconds count from here.
        #expect(await atTheGate(1, fleet))
        #expect(await fleet.time.sleeper(dueIn: .seconds(3)...(.seconds(3))))
        fleet.time.advance(by: .seconds(3))
        _ = try await acquiring.value
        #expect(fleet.a.store.mode == .degraded)
    }

    @Test func `I9: everybody who waits goes on when the store is there`() async throws {
        let fleet = try await Fleet(1, attached: false) { $0.limits = SlotLimits(perUser: 99, total: 99) }
        let manager = fleet.a.manager
        let keys = try (0..<20).map { try key("u", "p\($0)") }
        let acquiring = keys.map { key in Task { try await manager.acquire(key) } }
        #expect(await atTheGate(keys.count, fleet))
        await fleet.a.store.beat()
        for task in acquiring { #expect(try await task.value.source == .created) }
        #expect(fleet.server.books.usage().active == keys.count)
        #expect(fleet.a.store.state.withLock { $0.waiting.isEmpty })
        #expect(await fleet.spawner.idle(), "still running: \(fleet.spawner.liveNames)")
    }

    @Test func `I9: everybody who waits goes on alone when the store turns out to be away`() async throws {
        let fleet = try await Fleet(1, attached: false) { $0.limits = SlotLimits(perUser: 99, total: 99) }
        let manager = fleet.a.manager
        let keys = try (0..<20).map { try key("u", "p\($0)") }
        let acquiring = keys.map { key in Task { try await manager.acquire(key) } }
        #expect(await atTheGate(keys.count, fleet))
        await fleet.cut(fleet.a)
        for task in acquiring { #expect(try await task.value.source == .created) }
        #expect(fleet.a.store.mode == .degraded)
    }

    @Test
    func `I9: a client that leaves while it waits does not wait on, and its sandbox is leased when the store comes`()
        async throws
    {
        let fleet = try await Fleet(1, attached: false)
        let manager = fleet.a.manager
        let key = try key()
        let acquiring = Task { try await manager.acquire(key) }
        #expect(await atTheGate(1, fleet))
        acquiring.cancel()
        await #expect(throws: ManagerError.cancelled) { try await acquiring.value }
        await fleet.a.store.beat()
        #expect(await fleet.spawner.idle(), "still running: \(fleet.spawner.liveNames)")
        #expect(fleet.server.books.usage().active == 1 && fleet.provider.count(of: .create) == 1)
    }

    @Test func `where outages are refused, nothing is kept in books of this process`() async throws {
        let fleet = try await Fleet(1, policy: .refuse)
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.release(try key()) }
        guard case .away(nil) = fleet.a.store.state.withLock({ $0.standing }) else {
            Issue.record("there are books")
            return
        }
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().active == 1)
    }

    @Test func `what the store refuses is an answer: nobody goes on alone`() async throws {
        let fleet = try await Fleet(1)
        fleet.a.connection.fail(.refused)
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key()) }
        #expect(fleet.a.store.mode == .redis && fleet.provider.count(of: .create) == 0)
        // But one that refuses even to hear that this process lives is of no use.
        await fleet.a.store.beat()
        #expect(fleet.a.store.mode == .degraded)
    }

    @Test func `L2: a replica's share of a limit is never nothing`() {
        #expect(SlotLimits(perUser: 2, total: 3).share(of: 5) == SlotLimits(perUser: 1, total: 1))
        #expect(SlotLimits(perUser: 9, total: 10).share(of: 2) == SlotLimits(perUser: 4, total: 5))
        #expect(SlotLimits(perUser: 9, total: 10).share(of: 0) == SlotLimits(perUser: 9, total: 10))
    }

    @Test func `T13: stepping the wall clock changes nothing about an outage`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        fleet.time.stepWall(by: .seconds(86_400))
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        fleet.time.advance(by: .seconds(2))
        await fleet.mend(fleet.a)
        fleet.time.stepWall(by: .seconds(-200_000))
        await fleet.cut(fleet.a)
        fleet.time.advance(by: .seconds(5))
        await fleet.mend(fleet.a)
        #expect(fleet.a.store.state.withLock { $0.reapsFrom } == fleet.time.now() + .seconds(5))
        await fleet.b.manager.round(.reaper)
        let again = try await fleet.a.manager.acquire(try key())
        #expect(again.sandbox.id == first.sandbox.id && again.epoch == first.epoch)
        #expect(fleet.provider.count(of: .kill) == 0)
    }
}
