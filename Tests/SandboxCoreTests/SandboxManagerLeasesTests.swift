import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerLeasesTests {
    @Test func `S4 describing changes nothing at the provider and is no use`() async throws {
        let world = World()
        await #expect(throws: ManagerError.notFound) { try await world.manager.describe(try key()) }
        let grant = try await world.manager.acquire(try key())
        let calls = world.provider.calls.count
        world.time.advance(by: .seconds(20))
        let found = try await world.manager.describe(try key())
        #expect(found.record.sandbox.id == grant.sandbox.id && found.record.idle == .seconds(20))
        #expect(found.lastUsedAt == world.time.wallNow() - .seconds(20))
        #expect(found.expiresAt == grant.expiresAt)
        #expect(world.provider.calls.count == calls)
        world.time.advance(by: .seconds(480))
        await world.manager.round(.reaper)
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage())
    }

    @Test func `K7 a keepalive counts as use and moves the expiry`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(400))
        let found = try await world.manager.keepalive(try key())
        #expect(found.record.sandbox.remainingLife == .seconds(800) && found.record.idle == .zero)
        world.time.advance(by: .seconds(400))
        await world.manager.round(.reaper)
        #expect(world.provider.live.count == 1)
        await #expect(throws: ManagerError.notFound) { try await world.manager.keepalive(try key("bob")) }
        await world.expectQuiet()
    }

    @Test func `a keepalive of a sandbox that is gone says so, and the next acquire makes another`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        await #expect(throws: ManagerError.gone) { try await world.manager.keepalive(try key()) }
        let second = try await world.manager.acquire(try key())
        #expect(second.source == .created)
        await world.expectQuiet()
    }

    @Test func `K5 a paused lease is resumed by the next acquire with its full life`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        let paused = try await world.manager.pause(try key())
        #expect(paused.record.isPaused)
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        #expect(world.store.usage().paused == 1 && world.store.usage().slots == 1)
        world.time.advance(by: .seconds(1000))
        let again = try await world.manager.acquire(try key())
        #expect(again.source == .verified && again.sandbox.id == first.sandbox.id)
        let connect = try #require(world.provider.calls.first { $0.operation == .connect })
        #expect(connect.life == .seconds(800), "T7: an explicit life")
        #expect(world.store.usage().active == 1 && world.store.usage().paused == 0)
        #expect(world.manager.acquireIfFresh(try key()) != nil)
        await world.expectQuiet()
    }

    @Test(arguments: [false, true])
    func `K5 a sandbox paused for longer than a lease's greatest age is resumed, not killed`(isRestarted: Bool)
        async throws
    {
        let world = World()
        let first = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        world.time.advance(by: .seconds(7200))
        let manager = isRestarted ? world.replica() : world.manager
        let again = try await manager.acquire(try key())
        #expect(again.sandbox.id == first.sandbox.id)
        #expect(world.provider.calls.last { $0.operation == .connect }?.life == .seconds(800))
        world.time.advance(by: .seconds(20))
        #expect(try await manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(try await world.replica().acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(world.provider.count(of: .create) == 1)
    }

    @Test func `K5 a keepalive of a paused lease asks the provider for nothing and leaves it paused`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        world.time.advance(by: .seconds(1000))
        let found = try await world.manager.keepalive(try key())
        #expect(found.record.isPaused && found.record.sandbox.remainingLife == .seconds(85_400))
        #expect(world.provider.count(of: .extend) == 0 && world.store.usage().paused == 1)
        await world.expectQuiet()
    }

    @Test func `K5 nobody is handed a sandbox while it is being paused`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.provider.hold(.pause)
        let manager = world.manager
        let key = try key()
        let pause = world.start { () async throws(ManagerError) in try await manager.pause(key) }
        let held = try #require(await world.provider.nextHeld(.pause))
        #expect(manager.acquireIfFresh(key) == nil)
        let acquire = world.acquiring(key)
        #expect(await world.waiters(1))
        held.resume()
        #expect(try await pause.value.get().record.isPaused)
        #expect(try await acquire.value.get().source == .verified)
        #expect(world.provider.live.values.allSatisfy { $0.state == .running })
        await world.expectQuiet()
    }

    @Test func `a provider that cannot pause is not asked to`() async throws {
        let world = World(capabilities: ProviderCapabilities(canPause: false, outlivesProcess: true))
        _ = try await world.manager.acquire(try key())
        let error = await #expect(throws: ManagerError.self) { try await world.manager.pause(try key()) }
        #expect(error?.reason == .unsupported)
    }

    @Test func `a command runs in the sandbox, counts as use and holds no lock`() async throws {
        let world = World()
        await #expect(throws: ManagerError.notFound) {
            try await world.manager.exec(try key(), ExecRequest(command: ["true"], timeout: .seconds(1)))
        }
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(20))
        let result = try await world.manager.exec(
            try key(),
            ExecRequest(command: ["echo", "hi"], timeout: .seconds(1))
        )
        #expect(result.standardOutput == Array("echo hi".utf8))
        #expect(try await world.manager.describe(try key()).record.idle == .zero)
        #expect(world.observer.record.lockHolds == 1)
        await world.expectQuiet()
    }

    @Test func `a command that finds no sandbox makes the next acquire probe`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        let error = await #expect(throws: ManagerError.self) {
            try await world.manager.exec(try key(), ExecRequest(command: ["true"], timeout: .seconds(1)))
        }
        #expect(error?.reason == .sandboxGone)
        #expect(try await world.manager.acquire(try key()).source == .created)
    }

    @Test func `K8 a lease read from the store before its release is not put into memory after it`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        _ = try await world.manager.acquire(try key())
        let replica = world.replica()
        store.close(.lookup, .after)
        let key = try key()
        let exec = world.start { () async throws(ManagerError) in
            try await replica.exec(key, ExecRequest(command: ["true"], timeout: .seconds(1)))
        }
        #expect(await store.arrived(.lookup, .after))
        world.provider.hold(.kill)
        let release = world.start { () async throws(ManagerError) in try await replica.release(key) }
        let kill = try #require(await world.provider.nextHeld(.kill))
        store.open(.lookup, .after)
        let error = await #expect(throws: ManagerError.self) { try await exec.value.get() }
        #expect(error == .notFound)
        #expect(try await replica.explain(key).isInMemory == false)
        kill.resume()
        #expect(try await release.value.get() == .released)
    }

    @Test func `I1 what another replica ended is dropped as soon as the store says so`() async throws {
        for isPause in [false, true] {
            let world = World()
            _ = try await world.manager.acquire(try key())
            let replica = world.replica()
            let key = try key()
            world.provider.hold(.kill)
            let release = world.start { () async throws(ManagerError) in try await replica.release(key) }
            let kill = try #require(await world.provider.nextHeld(.kill))
            await #expect(throws: ManagerError.self) {
                _ = isPause ? try await world.manager.pause(key) : try await world.manager.keepalive(key)
            }
            #expect(world.manager.acquireIfFresh(key) == nil)
            let next = try await world.manager.acquire(key)
            #expect(next.source == .created)
            kill.resume()
            #expect(try await release.value.get() == .released)
        }
    }

    @Test func `I1 a paused lease that another replica ended is not handed out after its resuming`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        let replica = world.replica()
        let key = try key()
        world.provider.hold(.kill)
        let release = world.start { () async throws(ManagerError) in try await replica.release(key) }
        let kill = try #require(await world.provider.nextHeld(.kill))
        await #expect(throws: ManagerError.staleEpoch) { try await world.manager.acquire(key) }
        #expect(world.manager.acquireIfFresh(key) == nil)
        kill.resume()
        #expect(try await release.value.get() == .released)
    }

    @Test func `leases are listed by key, page by page`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 10, total: 100) }
        for number in 0..<5 { _ = try await world.manager.acquire(try key("u\(number % 2)", "p\(number)")) }
        var seen: [String] = []
        var cursor: String?
        repeat {
            let page = try await world.manager.list(user: nil, limit: 2, after: cursor)
            seen += page.leases.map(\.record.key.canonical)
            cursor = page.cursor
        } while cursor != nil
        #expect(seen == ["u0:p0", "u0:p2", "u0:p4", "u1:p1", "u1:p3"])
        #expect(try await world.manager.list(user: "u1", limit: 2, after: nil).leases.count == 2)
        #expect(try await world.manager.list(user: "u1", limit: 2, after: nil).cursor == nil)
        for limit in [0, 1001] {
            await #expect(throws: ManagerError.self) {
                _ = try await world.manager.list(user: nil, limit: limit, after: nil)
            }
        }
    }

    @Test func `an explanation tells lock, memory, lease, reservation and history`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let task = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let during = try await world.manager.explain(key)
        #expect(during.isLocked && !during.isInMemory && during.lease == nil && during.reservation != nil)
        held.resume()
        let grant = try await task.value.get()
        let after = try await world.manager.explain(key)
        #expect(!after.isLocked && after.isInMemory && after.lease != nil && after.reservation == nil)
        #expect(after.events.map(\.text) == ["reserved, epoch \(grant.epoch)", "created: \(grant.sandbox.id)"])
    }

    @Test func `the statistics count each thing once`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 9) }
        _ = try await world.manager.acquire(try key())
        _ = try await world.manager.acquire(try key())
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key("alice", "p2")) }
        _ = try await world.manager.release(try key())
        let (totals, gauges) = try await world.manager.stats()
        #expect(totals.created == 1 && totals.requests == 3 && totals.cleanedUp == 1 && totals.rejected == 1)
        #expect(totals.cacheHits == 1 && totals.cacheMisses == 2)
        #expect(abs(totals.hitRate - 1.0 / 3) < 1e-9)
        #expect(gauges.usage == StoreUsage())
    }

    @Test func `I11 sizes can be read while everything else is stuck`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        store.close(.lookup, .before)
        let task = world.acquiring(try key())
        #expect(await store.arrived(.lookup, .before))
        let gauges = world.manager.gauges()
        #expect(gauges.userLocks.held == 1)
        for collection in gauges.collections { #expect(collection.entries <= collection.limit) }
        store.open(.lookup, .before)
        _ = await task.value
        await world.expectQuiet()
    }
}
