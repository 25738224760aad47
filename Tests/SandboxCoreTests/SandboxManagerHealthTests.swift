import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerHealthTests {
    @Test func `a lease that lay idle is probed before it is handed out`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        #expect(try await world.manager.acquire(try key()).source == .verified)
        #expect(world.provider.count(of: .health) == 1)
        await world.expectQuiet()
    }

    @Test func `K3 I8 one failed probe, of whatever kind, destroys nothing`() async throws {
        for verdict: HealthVerdict in [
            .unhealthy("502"), .timedOut(after: .seconds(5)), .unreachable("refused"), .malformed("?"), .unauthorized,
        ] {
            let world = World()
            let first = try await world.manager.acquire(try key())
            world.time.advance(by: .seconds(31))
            world.provider.script(.health, .verdict(verdict))
            await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
            #expect(world.provider.live[first.sandbox.id] != nil && world.provider.count(of: .kill) == 0)
            let again = try await world.manager.acquire(try key())
            #expect(again.source == .verified && again.sandbox.id == first.sandbox.id)
            await world.expectQuiet()
        }
    }

    @Test func `K3 three sick verdicts over ten seconds replace the sandbox`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        world.provider.setVerdict(.unhealthy("502"), of: first.sandbox.id)
        for _ in 0..<2 {
            let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
            #expect(error == .unhealthy("502"))
            world.time.advance(by: .seconds(5))
        }
        let second = try await world.manager.acquire(try key())
        #expect(second.source == .created && second.epoch > first.epoch)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.keys.map(\.self) == [second.sandbox.id])
        #expect(world.observer.record.sandboxesKilled == [.unhealthy: 1])
        await world.expectQuiet()
    }

    @Test func `only success counts as use: a lease whose probes fail is still reaped`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.setVerdict(.unreachable("x"), of: first.sandbox.id)
        for _ in 0..<10 {
            world.time.advance(by: .seconds(50))
            await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        }
        await world.manager.round(.reaper)
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage())
    }

    @Test func `a sandbox that is gone is forgotten, its slot freed and another one made`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        world.provider.vanish(first.sandbox.id)
        let second = try await world.manager.acquire(try key())
        #expect(second.source == .created && second.sandbox.id != first.sandbox.id)
        #expect(world.observer.record.leasesEnded == [.gone: 1])
        await world.expectQuiet()
    }

    @Test func `M4 a sandbox that is gone is one ended lease, however many replicas find out`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        let other = RecordingObserver()
        let replica = world.replica(other)
        _ = try await replica.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        world.time.advance(by: .seconds(31))
        let second = try await world.manager.acquire(try key())
        #expect(try await replica.acquire(try key()).sandbox.id == second.sandbox.id)
        #expect(world.observer.record.leasesEnded == [.gone: 1] && other.record.leasesEnded.isEmpty)
    }

    @Test func `K4 a busy client's dead sandbox is noticed by the probe behind, and the next acquire makes another`()
        async throws
    {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        var second = first
        for _ in 0..<10 {
            world.time.advance(by: .seconds(5))
            second = try await world.manager.acquire(try key())
            #expect(await world.spawner.idle())
        }
        #expect(world.provider.count(of: .health) == 1, "by the absolute age of the last probe")
        #expect(second.sandbox.id != first.sandbox.id)
        #expect(world.observer.record.leasesEnded == [.gone: 1])
        await world.expectQuiet()
    }

    @Test func `K4 a probe behind that fails makes the next acquire probe first`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.setVerdict(.unhealthy("502"), of: first.sandbox.id)
        for _ in 0..<7 {
            world.time.advance(by: .seconds(5))
            _ = try await world.manager.acquire(try key())
        }
        #expect(await world.spawner.idle())
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        #expect(error == .unhealthy("502"))
    }

    @Test func `K4 what a probe behind finds while the key is worked on is not forgotten`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(20))
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(20))
        world.provider.hold(.health)
        _ = try await world.manager.acquire(try key())
        let probe = try #require(await world.provider.nextHeld(.health))
        world.provider.hold(.extend)
        let manager = world.manager
        let key = try key()
        let keepalive = world.start { () async throws(ManagerError) in try await manager.keepalive(key) }
        let moved = try #require(await world.provider.nextHeld(.extend))
        world.provider.unhold(.health)
        probe.resume(.verdict(.gone))
        #expect(await eventually { world.spawner.liveCount(named: "probe behind") == 0 })
        #expect(manager.acquireIfFresh(key) == nil)
        moved.resume()
        _ = await keepalive.value
        #expect(try await manager.acquire(key).source == .verified)
        #expect(world.provider.live.keys.map(\.self) == [first.sandbox.id])
        await world.expectQuiet()
    }

    @Test func `K4 a sandbox reported ill is probed at once and not handed out unprobed`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.script(.health, .verdict(.unreachable("x")))
        #expect(try await world.manager.reportUnhealthy(try key()) == .unreachable("x"))
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        #expect(try await world.manager.acquire(try key()).source == .verified)
        world.provider.vanish(first.sandbox.id)
        #expect(try await world.manager.reportUnhealthy(try key()) == .gone)
        #expect(world.store.usage() == StoreUsage())
        await #expect(throws: ManagerError.notFound) { try await world.manager.reportUnhealthy(try key()) }
        await world.expectQuiet()
    }

    @Test func `T4 the outer limit of a probe works although the provider ignores its own and cancellation`()
        async throws
    {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        world.provider.ignoreCancellation(true)
        world.provider.hold(.health)
        let task = world.acquiring(try key())
        let probe = try #require(await world.provider.nextHeld(.health))
        #expect(probe.call.timeout == .seconds(5))
        await world.time.sleeper(dueIn: .seconds(5) ... .seconds(5))
        world.time.advance(by: .seconds(5))
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .timedOut(operation: .healthCheck, after: .seconds(5)))
        #expect(world.observer.record.health == [.timedOut: 1])
        probe.resume()
        await world.expectQuiet()
    }

    @Test func `T4 the inner limit of a probe is a typed value too`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        world.provider.script(.health, .verdict(.timedOut(after: .seconds(3))))
        let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        #expect(error == .timedOut(operation: .healthCheck, after: .seconds(3)))
        #expect(error?.reason == .healthCheckTimedOut)
    }

    @Test func `K3 a minute of silence replaces only while other sandboxes answer`() async throws {
        for othersAnswer in [true, false] {
            let world = World()
            let first = try await world.manager.acquire(try key())
            _ = try await world.manager.acquire(try key("bob"))
            world.provider.setVerdict(.timedOut(after: .seconds(5)), of: first.sandbox.id)
            world.time.advance(by: .seconds(31))
            for _ in 0..<2 {
                await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
                world.time.advance(by: .seconds(31))
                if othersAnswer { _ = try await world.manager.acquire(try key("bob")) }
            }
            let third = try? await world.manager.acquire(try key())
            #expect((third?.source == .created) == othersAnswer)
            #expect(await world.spawner.idle())
            #expect((world.provider.live[first.sandbox.id] == nil) == othersAnswer)
        }
    }

    @Test func `the first seconds after a resume are edge lag, and older verdicts count no more`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.setVerdict(.unhealthy("502"), of: first.sandbox.id)
        for _ in 0..<2 {
            world.time.advance(by: .seconds(31))
            await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        }
        _ = try await world.manager.pause(try key())
        _ = try await world.manager.acquire(try key())
        for wait in [1, 3] {
            world.time.advance(by: .seconds(wait))
            #expect(try await world.manager.reportUnhealthy(try key()) == .unhealthy("502"))
        }
        for wait in [2, 6] {
            world.time.advance(by: .seconds(wait))
            #expect(try await world.manager.reportUnhealthy(try key()) == .unhealthy("502"))
        }
        #expect(world.provider.count(of: .kill) == 0 && world.provider.live.count == 1)
        world.time.advance(by: .seconds(5))
        #expect(try await world.manager.reportUnhealthy(try key()) == .unhealthy("502"))
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty, "three in a row, over ten seconds, after the edge had its time")
        #expect(world.observer.record.leasesEnded == [.unhealthy: 1])
    }

    @Test func `a wedged sandbox is replaced only on the control plane's word that it runs`() async throws {
        for answer in ["running", "away", "gone", "paused"] {
            let world = World()
            let first = try await world.manager.acquire(try key())
            _ = try await world.manager.acquire(try key("bob"))
            world.provider.setVerdict(.timedOut(after: .seconds(5)), of: first.sandbox.id)
            for _ in 0..<2 {
                world.time.advance(by: .seconds(31))
                await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
                _ = try await world.manager.acquire(try key("bob"))
            }
            world.time.advance(by: .seconds(31))
            switch answer {
            case "away": world.provider.script(.info, .fail(Failures.http(503, .info)))
            case "gone": world.provider.vanish(first.sandbox.id)
            case "paused": try await world.provider.pause(first.sandbox.id, timeout: .seconds(1))
            default: break
            }
            // What vanishes or pauses answers a probe by itself; a silent one does not.
            if answer != "running" { world.provider.script(.health, .verdict(.timedOut(after: .seconds(5)))) }
            let outcome = await world.acquiring(try key()).value
            #expect(await world.spawner.idle())
            switch answer {
            case "running", "gone": #expect(try outcome.get().source == .created)
            case "paused": #expect(try outcome.get().sandbox.id == first.sandbox.id)
            default:
                #expect(throws: ManagerError.timedOut(operation: .healthCheck, after: .seconds(5))) {
                    try outcome.get()
                }
            }
            #expect(world.provider.count(of: .kill) == (answer == "running" ? 1 : 0), "\(answer)")
        }
    }

    @Test func `a reconnected sandbox is handed to nobody before its probe ended well`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        let replica = world.replica()
        world.provider.hold(.health)
        let key = try key()
        let task = world.start { () async throws(ManagerError) in try await replica.acquire(key) }
        let probe = try #require(await world.provider.nextHeld(.health))
        #expect(replica.acquireIfFresh(key) == nil)
        probe.resume(.verdict(.unreachable("x")))
        await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(replica.acquireIfFresh(key) == nil)
        world.provider.unhold(.health)
        #expect(try await replica.acquire(key).source == .verified)
        #expect(replica.acquireIfFresh(key) != nil)
    }

    @Test func `K6 a reconnect keeps age, expiry and slot as they were`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(300))
        let again = try await world.replica().acquire(try key())
        #expect(again.source == .reconnected && again.epoch == first.epoch)
        #expect(again.createdAt == first.createdAt && again.expiresAt == first.expiresAt)
        #expect(world.store.usage().slots == 1 && world.provider.count(of: .connect) == 0)
    }

    @Test func `a restarted manager finds the sandbox gone and makes another`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        let first = try await world.manager.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        let replica = world.replica { $0.limits = SlotLimits(perUser: 1, total: 1) }
        #expect(try await replica.acquire(try key()).source == .created)
    }

    @Test func `O5 a failed reconnect leaves the lease as it was`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        let replica = world.replica()
        world.provider.script(.info, .fail(Failures.http(503, .info)))
        await #expect(throws: ManagerError.self) { try await replica.acquire(try key()) }
        #expect(try await replica.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(world.provider.count(of: .create) == 1 && world.provider.count(of: .kill) == 0)
    }

    @Test func `K8 I1 a lease that is released while the store is told of its use is not handed out`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        let key = try key()
        let first = try await world.manager.acquire(key)
        world.time.advance(by: .seconds(31))
        store.close(.touch, .after)
        let verifying = world.acquiring(key)
        #expect(await store.arrived(.touch, .after))
        #expect(try await world.manager.release(key) == .released)
        store.open(.touch, .after)
        let outcome = await verifying.value
        #expect(throws: ManagerError.staleEpoch) { try outcome.get() }
        #expect(world.provider.live[first.sandbox.id] == nil)
        await world.expectQuiet()
    }
}
