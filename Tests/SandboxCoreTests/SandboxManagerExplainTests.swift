import TestSupport
import Testing

@testable import SandboxCore

/// What a real manager says of a key in the states that an engineer is woken for.
@Suite(.timeLimit(.minutes(1))) struct SandboxManagerExplainTests {
    private func says(
        _ world: World,
        _ words: String,
        _ location: SourceLocation = #_sourceLocation
    ) async throws -> KeyExplanation {
        let explanation = try await world.manager.explain(try key())
        let found = explanation.summary.contains { $0.contains(words) }
        #expect(found, "\(explanation.summary)", sourceLocation: location)
        return explanation
    }

    @Test func `no lease`() async throws {
        let world = World()
        let explanation = try await says(world, "Nobody holds a lease for this key.")
        #expect(explanation.lock == nil && explanation.probe == nil)
        #expect(explanation.kills.isEmpty && explanation.intents.isEmpty)
    }

    @Test func `leased`() async throws {
        let world = World()
        let grant = try await world.manager.acquire(try key())
        let explanation = try await says(world, "The key holds sandbox \(grant.sandbox.id), which runs")
        #expect(explanation.slots.user == 1 && explanation.slots.total == 1)
        #expect(explanation.isInMemory)
    }

    @Test func `limited`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 9) }
        _ = try await world.manager.acquire(try key("alice", "other"))
        _ = try await says(world, "The user holds 1 of 1 slot;")
        _ = try await says(world, "the next acquire is refused with user_limit")
    }

    @Test func `creating, with somebody who waits`() async throws {
        let world = World()
        world.provider.hold(.create)
        let first = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        let second = world.acquiring(try key())
        #expect(await world.waiters(1))
        world.time.advance(by: .seconds(3))
        let explanation = try await says(world, "A sandbox is being created for this key by manager")
        _ = try await says(world, "held for 3 s by an operation of kind acquire; 1 other waits for it")
        #expect(explanation.lock == UserLockHold(operation: .acquire, age: .seconds(3), waiters: 1))
        #expect(explanation.intents.map(\.isHeld) == [true] && explanation.intents[0].age == .seconds(3))
        held.resume()
        _ = try await first.value.get()
        _ = try await second.value.get()
        await world.expectQuiet()
    }

    @Test func `dying, with the reason of the last failure`() async throws {
        let world = World { $0.releaseWait = .zero }
        let grant = try await world.manager.acquire(try key())
        world.provider.script(.kill, .fail(Failures.http(403, .kill)))
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(try Self.alice()) }
        #expect(await world.passing(.milliseconds(50)) { release.isDone })
        #expect(await world.spawner.idle())
        let explanation = try await says(world, "Sandbox \(grant.sandbox.id) has been dying for")
        _ = try await says(world, "1 attempt failed, the last with provider_unauthorized")
        #expect(explanation.kills.map(\.ticket.epoch) == [grant.epoch])
        #expect(explanation.kills.map(\.ticket.lastFailure) == [.providerUnauthorized])
        #expect(explanation.slots.userReleasing == 1 && explanation.lease == nil)
    }

    @Test func `sick`() async throws {
        let world = World()
        let grant = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(40))
        world.provider.setVerdict(.unhealthy("502"), of: grant.sandbox.id)
        _ = try? await world.acquiring(try key()).value.get()
        world.time.advance(by: .seconds(2))
        let explanation = try await says(world, "The last probe, 2 s ago, said unhealthy: 1 sick verdict in a row")
        #expect(explanation.probe?.sickInARow == 1)
    }

    @Test func `a creation of unknown outcome`() async throws {
        let world = World { $0.createRetries = 0 }
        world.provider.hideFromLists(true)
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        let explanation = try await says(world, "A creation of unknown outcome has been open for")
        #expect(explanation.intents.map(\.isHeld) == [false])
    }

    @Test func `creating too fast`() async throws {
        let world = World { $0.creationRate = CreationRate(perMinute: 6, burst: 1) }
        _ = try await world.manager.acquire(try key("alice", "other"))
        world.time.advance(by: .seconds(4))
        let explanation = try await says(world, "the next creation is possible in 6 s")
        #expect(explanation.nextCreation == .seconds(6))
        world.time.advance(by: .seconds(6))
        #expect(try await world.manager.explain(try key()).nextCreation == .zero)
    }

    private static func alice() throws(ManagerError) -> LeaseKey { try LeaseKey(user: "alice", project: "p1") }
}
