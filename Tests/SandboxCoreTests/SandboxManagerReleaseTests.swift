import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerReleaseTests {
    @Test func `a release kills, frees the slot and forgets; a second one finds nothing`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        #expect(try await world.manager.release(try key()) == .released)
        #expect(world.provider.live.isEmpty)
        #expect(world.store.usage() == StoreUsage())
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        #expect(try await world.manager.release(try key()) == .released)
        #expect(world.observer.record.sandboxesKilled == [.released: 1])
        #expect(world.observer.record.leasesEnded == [.released: 1])
        await world.expectQuiet()
    }

    @Test func `O4 a replica that never saw the key releases it`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        #expect(try await world.replica().release(try key()) == .released)
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
    }

    @Test func `O3 M2 I4 a failed kill is repeated until it is confirmed, and only then the slot is free`() async throws
    {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        _ = try await world.manager.acquire(try key())
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        #expect(try await world.manager.release(try key()) == .releasing)
        for round in 1...4 {
            #expect(world.store.usage().slots == 1 && world.store.usage().outbox == 1)
            #expect(world.provider.live.count == 1)
            world.time.advance(by: .seconds(60))
            #expect(await world.manager.round(.outbox) == .partial)
            #expect(world.provider.count(of: .kill) == round + 1)
            #expect(await world.manager.round(.outbox) == .ok, "not due again at once")
        }
        #expect(world.observer.record.sandboxesKilled.isEmpty)
        #expect(try await world.manager.stats().totals.cleanedUp == 0)
        world.provider.always(.kill, nil)
        world.time.advance(by: .seconds(60))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        #expect(world.observer.record.sandboxesKilled == [.released: 1])
        await world.expectQuiet()
    }

    @Test func `O3 a kill whose reply was lost is confirmed by the next attempt`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.provider.script(.kill, .proceedThenFail(Failures.reset(.kill)))
        #expect(try await world.manager.release(try key()) == .releasing)
        #expect(world.store.usage().slots == 1)
        world.time.advance(by: .seconds(60))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage() == StoreUsage())
        #expect(world.observer.record.sandboxesKilled == [.released: 1])
        await world.expectQuiet()
    }

    @Test func `a provider's wish is obeyed between kills`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        let failure = ProviderError(.kill, .rateLimited, "slow", effect: .none, retryAfter: .seconds(40))
        world.provider.script(.kill, .fail(failure))
        #expect(try await world.manager.release(try key()) == .releasing)
        world.time.advance(by: .seconds(39))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.count(of: .kill) == 1)
        world.time.advance(by: .seconds(2))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage() == StoreUsage())
    }

    @Test func `O7 a release during a create fences it: the late sandbox dies, joiners learn, a later PUT starts anew`()
        async throws
    {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let starter = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let joiners = (0..<5).map { _ in world.acquiring(key) }
        #expect(await world.waiters(5))
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await world.time.sleeper(dueIn: .milliseconds(5) ... .milliseconds(5)))
        let later = world.acquiring(key)
        #expect(await world.waiters(6))
        held.resume()
        for task in joiners + [starter] {
            let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
            #expect(error == .staleEpoch)
        }
        let second = try #require(await world.provider.nextHeld(.create))
        second.resume()
        let grant = try await later.value.get()
        #expect(grant.source == .created)
        #expect(await world.passing(.milliseconds(50)) { release.isDone })
        #expect(try await release.value.get() == .released)
        #expect(world.provider.live.keys.map(\.self) == [grant.sandbox.id])
        #expect(world.observer.record.sandboxesKilled == [.fenced: 1])
        #expect(world.store.usage().slots == 1)
        await world.expectQuiet()
    }

    @Test func `O7 a release that reaches the store before the reservation still has the last word`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        let key = try key()
        let manager = world.manager
        store.close(.release, .after)
        store.close(.commit, .after)
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await store.arrived(.release, .after))
        // The store said "nothing"; now a flight reserves, creates and commits before the release fences it.
        let task = world.acquiring(key)
        #expect(await store.arrived(.commit, .after))
        store.open(.release, .after)
        #expect(try await release.value.get() == .released)
        store.open(.commit, .after)
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .staleEpoch)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty, "what nobody was told of must not live on")
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `O7 a release that found nothing leaves alone what was leased after it`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        let key = try key()
        let manager = world.manager
        store.close(.release, .after)
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await store.arrived(.release, .after))
        let grant = try await manager.acquire(key)
        store.open(.release, .after)
        #expect(try await release.value.get() == .released)
        #expect(manager.acquireIfFresh(key)?.epoch == grant.epoch && world.provider.live[grant.sandbox.id] != nil)
        await world.expectQuiet()
    }

    @Test func `O7 a fenced flight does not create again between its attempts`() async throws {
        let world = World()
        world.provider.script(.create, .fail(Failures.http(503)))
        let key = try key()
        let task = world.acquiring(key)
        #expect(await world.time.sleeper(dueIn: .zero ... .seconds(1)))
        #expect(await eventually { world.observer.record.retries[.create] != nil })
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await world.time.sleeper(dueIn: .milliseconds(5) ... .milliseconds(5)))
        #expect(await world.passing(.milliseconds(200)) { task.isDone && release.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .staleEpoch)
        #expect(world.provider.count(of: .create) == 1)
        #expect(try await release.value.get() == .released)
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `O7 a flight fenced while it verifies does not go on to create`() async throws {
        let world = World()
        let key = try key()
        let first = try await world.manager.acquire(key)
        world.time.advance(by: .seconds(31))
        world.provider.hold(.health)
        let task = world.acquiring(key)
        let probe = try #require(await world.provider.nextHeld(.health))
        #expect(try await world.manager.release(key) == .released)
        probe.resume(.verdict(.alive))
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .staleEpoch)
        #expect(world.provider.count(of: .create) == 1)
        #expect(world.provider.live[first.sandbox.id] == nil && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `L5 a release during a create does not delete the lock that the flight holds`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let starter = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await world.time.sleeper(dueIn: .milliseconds(5) ... .milliseconds(5)))
        #expect(world.manager.gauges().userLocks.held == 1)
        let second = world.acquiring(key)
        #expect(await world.waiters(1))
        #expect(world.provider.count(of: .create) == 1, "the second caller waits its turn")
        held.resume()
        _ = await starter.value
        try #require(await world.provider.nextHeld(.create)).resume()
        #expect(try await second.value.get().source == .created)
        #expect(await world.passing(.milliseconds(50)) { release.isDone })
        #expect(world.provider.live.count == 1)
        await world.expectQuiet()
    }

    @Test func `I9 a caller that gives up a release during a create is answered at once, and asks nothing any more`()
        async throws
    {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let starter = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await world.time.sleeper(dueIn: .milliseconds(5) ... .milliseconds(5)))
        release.cancel()
        // No time passes: whoever goes on asking would do so for ever.
        #expect(await eventually(within: .seconds(2)) { release.isDone })
        world.time.advance(by: .seconds(6))
        #expect(try await release.value.get() == .releasing)
        held.resume()
        _ = await starter.value
        // The kill goes on by itself.
        await world.expectQuiet()
        #expect(world.provider.live.isEmpty)
    }

    @Test func `a release waits for the kill, but not longer than it may`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.provider.hold(.kill)
        let manager = world.manager
        let key = try key()
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        let kill = try #require(await world.provider.nextHeld(.kill))
        await world.time.sleeper(dueIn: .seconds(5) ... .seconds(5))
        world.time.advance(by: .seconds(5))
        #expect(try await release.value.get() == .releasing)
        #expect(world.store.usage().slots == 1)
        kill.resume()
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `a PUT blocked only by the user's own dying sandbox waits for its slot`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 9) }
        _ = try await world.manager.acquire(try key("alice", "a"))
        world.provider.hold(.kill)
        let manager = world.manager
        let old = try key("alice", "a")
        let release = world.start { () async throws(ManagerError) in try await manager.release(old) }
        let kill = try #require(await world.provider.nextHeld(.kill))
        let task = world.acquiring(try key("alice", "b"))
        #expect(await world.time.sleeper(dueIn: .milliseconds(20) ... .milliseconds(20)))
        kill.resume()
        #expect(try await release.value.get() == .released)
        #expect(await world.passing(.milliseconds(20)) { task.isDone })
        #expect(try await task.value.get().source == .created)
        #expect(world.provider.peak(ofUser: "alice") == 1)
        await world.expectQuiet()
    }

    @Test func `a PUT whose own dying sandbox does not die is told so`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 9) }
        _ = try await world.manager.acquire(try key("alice", "a"))
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        #expect(try await world.manager.release(try key("alice", "a")) == .releasing)
        let task = world.acquiring(try key("alice", "b"))
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .releasing(retryAfter: .seconds(1)))
        await world.expectQuiet()
    }

    @Test func `T1 a slow kill of one tenant delays no other`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key("slow"))
        world.provider.hold(.kill)
        let manager = world.manager
        let slow = try key("slow")
        let release = world.start { () async throws(ManagerError) in try await manager.release(slow) }
        let kill = try #require(await world.provider.nextHeld(.kill))
        // No time passes at all while the others are served.
        for number in 0..<20 { #expect(try await manager.acquire(try key("u\(number)")).source == .created) }
        #expect(await manager.round(.reaper) == .ok)
        kill.resume()
        #expect(try await release.value.get() == .released)
        await world.expectQuiet()
    }
}

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerShutdownTests {
    @Test func `O8 requests during shutdown are refused and leave no sandbox`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key("old"))
        world.manager.beginDraining()
        #expect(world.manager.acquireIfFresh(try key("old")) == nil)
        for name in ["old", "new"] {
            let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key(name)) }
            #expect(error == .draining)
        }
        await #expect(throws: ManagerError.draining) { try await world.manager.release(try key("old")) }
        await #expect(throws: ManagerError.draining) { try await world.manager.keepalive(try key("old")) }
        #expect(world.provider.count(of: .create) == 1)
        await world.expectQuiet()
    }

    @Test func `O8 a caller who waited for a lock when the drain began starts nothing new`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let starter = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let manager = world.manager
        let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
        #expect(await world.time.sleeper(dueIn: .milliseconds(5) ... .milliseconds(5)))
        let queued = world.acquiring(key)
        #expect(await world.waiters(1))
        world.manager.beginDraining()
        world.provider.unhold(.create)
        held.resume()
        _ = await starter.value
        let error = await #expect(throws: ManagerError.self) { try await queued.value.get() }
        #expect(error == .draining)
        #expect(world.provider.count(of: .create) == 1)
        #expect(await world.passing(.milliseconds(50)) { release.isDone })
        #expect(world.provider.live.isEmpty)
        await world.expectQuiet()
    }

    @Test func `T14 shutdown keeps sandboxes that outlive the process, and waits for what is under way`() async throws {
        let world = World()
        world.provider.hold(.create)
        let task = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        let manager = world.manager
        let shutdown = world.start { () async throws(ManagerError) in await manager.shutdown() }
        #expect(await world.time.sleeper(dueIn: .zero ... .milliseconds(10)))
        held.resume()
        #expect(try await task.value.get().source == .created)
        #expect(await world.passing(.milliseconds(10)) { shutdown.isDone })
        #expect(world.provider.live.count == 1 && world.provider.isShutDown)
        await world.expectQuiet()
    }

    @Test func `O8 a shutdown that kills leaves none, what was being made included`() async throws {
        let world = World(capabilities: ProviderCapabilities(canPause: false, outlivesProcess: false))
        for number in 0..<10 { _ = try await world.manager.acquire(try key("u\(number)")) }
        world.provider.hold(.create)
        let task = world.acquiring(try key("late"))
        let held = try #require(await world.provider.nextHeld(.create))
        let manager = world.manager
        let shutdown = world.start { () async throws(ManagerError) in await manager.shutdown() }
        #expect(await world.time.sleeper(dueIn: .zero ... .milliseconds(10)))
        // Past the half of the time that is left to work under way.
        world.time.advance(by: .seconds(13))
        #expect(await eventually { world.provider.live.isEmpty })
        held.resume()
        _ = await task.value
        #expect(await world.passing(.milliseconds(100)) { shutdown.isDone })
        #expect(world.provider.live.isEmpty)
        #expect(world.provider.isShutDown)
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `I9 shutdown ends in time although the provider never answers`() async throws {
        let world = World { $0.shutdownKillsSandboxes = true }
        _ = try await world.manager.acquire(try key())
        world.provider.ignoreCancellation(true)
        world.provider.hold(.kill)
        let manager = world.manager
        let shutdown = world.start { () async throws(ManagerError) in await manager.shutdown() }
        let kill = try #require(await world.provider.nextHeld(.kill))
        #expect(await world.passing(.seconds(1), atMost: 30) { shutdown.isDone })
        #expect(world.provider.isShutDown)
        kill.resume()
        #expect(await world.spawner.idle())
    }
}
