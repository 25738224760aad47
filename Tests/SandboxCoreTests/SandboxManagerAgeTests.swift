import SandboxCore
import TestSupport
import Testing

/// How long leases live: idle time, expiry at the provider, greatest age, pauses.
@Suite(.timeLimit(.minutes(2))) struct SandboxManagerAgeTests {
    @Test func `K6 a PUT in the last minute replaces at a replica that never saw the lease, too`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 5) }
        let first = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(3600)))
        world.time.advance(by: .seconds(3545))
        let next = try await world.replica().acquire(try key())
        #expect(next.source == .created && next.epoch > first.epoch)
        #expect(world.observer.record.acquired == [.created: 1])
        #expect(await world.spawner.idle())
        #expect(world.provider.live.keys.map(\.self) == [next.sandbox.id])
    }

    @Test func `K7 a user at the limit gets the replacement as soon as the old sandbox is dead, and not before`()
        async throws
    {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(3600)))
        world.time.advance(by: .seconds(3545))
        world.provider.hold(.kill)
        let task = world.acquiring(try key())
        let kill = try #require(await world.provider.nextHeld(.kill))
        #expect(await world.time.sleeper(dueIn: .milliseconds(20) ... .milliseconds(20)))
        #expect(world.provider.count(of: .create) == 1)
        kill.resume()
        #expect(await world.passing(.milliseconds(20)) { task.isDone })
        #expect(try await task.value.get().source == .created)
        #expect(world.provider.peak == 1)
        await world.expectQuiet()
    }

    @Test func `K7 leases that may not grow old altogether are handed out all the same`() async throws {
        let world = World {
            $0.maxAge = .seconds(40)
            $0.idleTimeout = .seconds(30)
        }
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(20))
        #expect(try await world.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        world.time.advance(by: .seconds(11))
        #expect(try await world.manager.acquire(try key()).source == .created)
    }

    @Test func `a session that ends before the lease's greatest age is not asked for at every round`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        // From now on the provider grants a few minutes at most.
        world.provider.grantLess(by: .seconds(600))
        for _ in 0..<60 {
            world.time.advance(by: .seconds(10))
            _ = try await world.manager.acquire(try key())
            #expect(await world.manager.round(.extender) == .ok)
        }
        #expect(world.provider.count(of: .extend) <= 4, "the first after 310 s, then one in 100 s")
        #expect(world.provider.live.count == 1)
    }

    @Test func `I10 the store learns of a later expiry only after the provider said yes`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(310))
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        _ = try await world.manager.acquire(try key())
        world.provider.always(.extend, .fail(Failures.http(503, .extend)))
        #expect(await world.manager.round(.extender) == .partial)
        #expect(try await remaining(world) == .seconds(490))
        world.provider.always(.extend, nil)
        #expect(await world.manager.round(.extender) == .ok)
        #expect(try await remaining(world) == .seconds(800))
        #expect(try await world.manager.describe(try key()).record.sandbox.remainingLife == .seconds(800))
    }

    @Test func `a lease past its expiry is replaced, not probed`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(2000)))
        world.time.advance(by: .seconds(2300))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(20)) { task.isDone })
        #expect(try await task.value.get().source == .created)
        #expect(world.provider.count(of: .health) == 0 && world.provider.peak == 1)
        #expect(world.observer.record.leasesEnded == [.expired: 1])
        await world.expectQuiet()
    }

    @Test func `an extension never passes the lease's greatest age`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(1800)))
        for step in [1700, 1700, 100] {
            world.time.advance(by: .seconds(step))
            _ = try await world.manager.keepalive(try key())
            _ = await world.manager.round(.extender)
        }
        let ends = world.provider.calls.compactMap { $0.operation == .extend ? $0.life : nil }
        #expect(ends == [.seconds(1900), .seconds(200), .seconds(100)])
        #expect(try await world.manager.describe(try key()).expiresAt - first.createdAt == .seconds(3600))
    }

    @Test func `I7 K5 a resumed sandbox does not look idle to another replica's reaper`()
        async throws
    {
        let fleet = try await Fleet()
        let key = try key()
        let first = try await fleet.a.manager.acquire(key)
        _ = try await fleet.a.manager.pause(key)
        fleet.time.advance(by: .seconds(3600))
        #expect(try await fleet.a.manager.acquire(key).sandbox.id == first.sandbox.id)
        // The store offers an idle lease again after a while.
        fleet.time.advance(by: .seconds(6))
        #expect(await fleet.b.manager.round(.reaper) == .ok)
        #expect(try await fleet.b.manager.describe(key).record.sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `K5 the same paused lease is paused to every replica's reaper, and resumed by any of them`() async throws
    {
        let world = World()
        let first = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        let replica = world.replica()
        for _ in 0..<5 {
            world.time.advance(by: .seconds(10_000))
            #expect(await world.manager.round(.reaper) == .ok)
            #expect(await replica.round(.reaper) == .ok)
            #expect(await world.manager.round(.extender) == .ok)
        }
        #expect(world.provider.count(of: .extend) == 0, "a paused sandbox has no expiry to move")
        let again = try await replica.acquire(try key())
        #expect(again.sandbox.id == first.sandbox.id && again.expiresAt - world.time.wallNow() == .seconds(800))
        world.time.advance(by: .seconds(499))
        #expect(await replica.round(.reaper) == .ok)
        #expect(world.provider.live.count == 1)
        world.time.advance(by: .seconds(1))
        #expect(await replica.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty, "once resumed it is idle like any other")
    }

    @Test func `the warning comes in the last ten minutes and not before`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(3600)))
        world.time.advance(by: .seconds(2999))
        #expect(try await !world.manager.acquire(try key()).endsSoon)
        world.time.advance(by: .seconds(1))
        #expect(try #require(world.manager.acquireIfFresh(try key())).endsSoon)
        #expect(try await world.manager.acquire(try key()).endsSoon)
    }

    private func remaining(_ world: World) async throws -> Duration? {
        guard case .lease(let record)? = try await world.store.lookup(try key()) else { return nil }
        return record.sandbox.remainingLife
    }
}
