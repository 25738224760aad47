import SandboxCore
import StandIns
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerLoopTests {
    @Test func `the reaper ends what lay idle for its whole timeout, and nothing earlier`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(499))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(world.provider.live.count == 1)
        world.time.advance(by: .seconds(1))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        #expect(world.observer.record.leasesEnded == [.idle: 1])
        #expect(world.observer.record.loopItems[.reaper]?[.acted] == 1)
        await world.expectQuiet()
    }

    @Test func `K1 I7 a lease used between the reaper's decision and its deed lives`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(500))
        store.close(.dueLeases, .after)
        let manager = world.manager
        let round = world.start { () async throws(ManagerError) in await manager.round(.reaper) }
        #expect(await store.arrived(.dueLeases, .after))
        #expect(try await manager.acquire(try key()).source == .verified)
        store.open(.dueLeases, .after)
        #expect(try await round.value.get() == .ok)
        #expect(world.provider.count(of: .kill) == 0 && world.store.usage().active == 1)
        #expect(manager.acquireIfFresh(try key()) != nil)
        await world.expectQuiet()
    }

    @Test func `K1 I7 what another replica uses is not reaped here`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(400))
        let replica = world.replica()
        _ = try await replica.acquire(try key())
        await replica.round(.reaper)
        world.time.advance(by: .seconds(200))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(world.provider.live.count == 1)
    }

    @Test func `K1 I7 a use after a long idle time is known to every replica's reaper at once`() async throws {
        let world = World()
        let replica = world.replica()
        for use in 0..<3 {
            _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(500)))
            world.time.advance(by: .seconds(499))
            switch use {
            case 0: #expect(try await world.manager.acquire(try key()).source == .verified)
            case 1: _ = try await world.manager.keepalive(try key())
            default:
                _ = try await world.manager.exec(
                    try key(),
                    ExecRequest(command: ["true"], timeout: .seconds(1))
                )
            }
            world.time.advance(by: .seconds(1))
            #expect(await replica.round(.reaper) == .ok)
            #expect(await world.spawner.idle())
            #expect(world.provider.live.count == 1, "use \(use)")
        }
    }

    @Test func `K1 I7 a use at another replica between the decision and the deed saves the lease`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(500))
        store.close(.end, .before)
        let manager = world.manager
        let round = world.start { () async throws(ManagerError) in await manager.round(.reaper) }
        #expect(await store.arrived(.end, .before))
        let replica = world.replica()
        #expect(try await replica.acquire(try key()).sandbox.id == first.sandbox.id)
        store.open(.end, .before)
        #expect(try await round.value.get() == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.count(of: .kill) == 0 && world.store.usage().active == 1)
        #expect(try await manager.acquire(try key()).sandbox.id == first.sandbox.id)
    }

    @Test func `K1 K8 a reaped lease is handed to nobody while its sandbox is still dying`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(500))
        world.provider.hold(.kill)
        #expect(await world.manager.round(.reaper) == .ok)
        let kill = try #require(await world.provider.nextHeld(.kill))
        let second = try await world.manager.acquire(try key())
        #expect(second.source == .created && second.sandbox.id != first.sandbox.id)
        kill.resume()
        await world.expectQuiet()
    }

    @Test(arguments: [true, false])
    func `K1 a lease extended after the reaper found it expired lives`(isOwn: Bool) async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        // An idle timeout of the greatest age: it is the expiry that comes first.
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(3600)))
        world.time.advance(by: .seconds(3600))
        store.close(.dueLeases, .after)
        let reaping = isOwn ? world.manager : world.replica()
        let round = world.start { () async throws(ManagerError) in await reaping.round(.reaper) }
        #expect(await store.arrived(.dueLeases, .after))
        _ = try await world.manager.keepalive(try key())
        store.open(.dueLeases, .after)
        _ = await round.value
        #expect(world.provider.count(of: .kill) == 0)
        #expect(world.store.usage().active == 1)
    }

    @Test func `K1 a lease whose extension the store has not heard of yet is not reaped as expired`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(1000)))
        world.time.advance(by: .seconds(1200))
        store.fail(.extend, StoreError("lost"))
        let manager = world.manager
        let key = try key()
        await #expect(throws: ManagerError.self) { try await manager.keepalive(key) }
        world.time.advance(by: .seconds(100))
        #expect(await manager.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.count(of: .kill) == 0)
        #expect(try await manager.acquire(key).source == .verified)
    }

    @Test func `K2 the reaper never kills the replacement of what it decided on`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(500))
        store.close(.dueLeases, .after)
        let manager = world.manager
        let round = world.start { () async throws(ManagerError) in await manager.round(.reaper) }
        #expect(await store.arrived(.dueLeases, .after))
        #expect(try await manager.release(try key()) == .released)
        let second = try await manager.acquire(try key())
        store.open(.dueLeases, .after)
        #expect(try await round.value.get() == .ok)
        #expect(world.provider.live.keys.map(\.self) == [second.sandbox.id])
        await world.expectQuiet()
    }

    @Test func `K7 I7 a long command keeps its sandbox, for every replica's reaper`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.provider.hold(.exec)
        let manager = world.manager
        let key = try key()
        let exec = world.start { () async throws(ManagerError) in
            try await manager.exec(key, ExecRequest(command: ["make"], timeout: .seconds(2000)))
        }
        let held = try #require(await world.provider.nextHeld(.exec))
        let replica = world.replica()
        for _ in 0..<6 {
            world.time.advance(by: .seconds(250))
            #expect(await manager.round(.reaper) == .ok)
            #expect(await manager.round(.extender) == .ok)
            #expect(await replica.round(.reaper) == .ok)
        }
        #expect(world.provider.live.count == 1)
        held.resume()
        #expect(try await exec.value.get().exitCode == 0)
        world.time.advance(by: .seconds(500))
        #expect(await manager.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty)
    }

    @Test func `uses are not lost when the store could not be told of them`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(20))
        #expect(world.manager.acquireIfFresh(try key()) != nil)
        store.fail(.touch, StoreError("down"))
        #expect(await world.manager.round(.reaper) == .failed)
        store.fail(.touch, nil)
        #expect(await world.manager.round(.reaper) == .ok)
        guard case .lease(let record)? = try await world.store.lookup(try key()) else {
            Issue.record("no lease")
            return
        }
        #expect(record.idle == .zero)
        #expect(world.observer.record.loops[.reaper] == [.failed: 1, .ok: 1])
    }

    @Test func `K7 the extender moves what was used, at most once per grace period`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        var extensions: [Int: Int] = [:]
        for second in stride(from: 10, through: 1300, by: 10) {
            world.time.advance(by: .seconds(10))
            _ = try await world.manager.acquire(try key())
            #expect(await world.manager.round(.extender) == .ok)
            extensions[second] = world.provider.count(of: .extend)
        }
        #expect(await world.spawner.idle())
        #expect(extensions[300] == 0 && extensions[310] == 1)
        #expect(extensions[1300] == 4)
        #expect(world.provider.live.count == 1)
        await world.expectQuiet()
    }

    @Test func `a lease at its greatest age is no longer extended, and a PUT in its last minute replaces it`()
        async throws
    {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 5) }
        let first = try await world.manager.acquire(try key())
        var last = first
        for _ in 0..<353 {
            world.time.advance(by: .seconds(10))
            last = try await world.manager.acquire(try key())
            #expect(await world.manager.round(.extender) == .ok)
        }
        #expect(last.epoch == first.epoch && last.endsSoon && !first.endsSoon)
        #expect(last.expiresAt - first.createdAt == .seconds(3600))
        world.time.advance(by: .seconds(10))
        let next = try await world.manager.acquire(try key())
        #expect(next.source == .created && next.epoch > first.epoch)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.keys.map(\.self) == [next.sandbox.id])
        #expect(world.observer.record.leasesEnded == [.expired: 1])
        await world.expectQuiet()
    }

    @Test func `K5 a paused lease keeps its slot and its sandbox for its own time`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        world.time.advance(by: .seconds(86_399))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(world.store.usage().paused == 1 && world.provider.live.count == 1)
        world.time.advance(by: .seconds(1))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        #expect(world.observer.record.leasesEnded == [.expired: 1])
    }

    @Test func `a reaper behind its fault switch fails and says so`() async throws {
        let world = World { $0.faults = [.reaperFailure] }
        #expect(await world.manager.round(.reaper) == .failed)
        #expect(world.observer.record.loops[.reaper] == [.failed: 1])
        #expect(await world.manager.round(.outbox) == .ok)
    }

    @Test func `the loops run at their intervals until they are cancelled`() async throws {
        let world = World()
        let manager = world.manager
        let running = Task { await manager.run() }
        #expect(await world.time.sleepers(atLeast: 6))
        #expect(world.time.pendingDelays == [1, 1, 1, 10, 30, 300].map { .seconds($0) })
        #expect(
            await world.passing(.seconds(1), atMost: 60) { world.observer.record.loops[.reaper] == [.ok: 1] }
        )
        #expect((world.observer.record.loops[.outbox]?[.ok] ?? 0) >= 10)
        #expect(world.manager.gauges().loopIntervals[.reaper] == .seconds(30))
        running.cancel()
        await running.value
        #expect(world.time.sleeperCount == 0)
    }

    @Test func `I6 I12 a storm of everything leaves the books balanced and nothing behind`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 8) }
        let manager = world.manager
        let keys = try (0..<12).map { try key("u\($0 % 4)", "p\($0 / 4)") }
        // Somebody must let time pass for those who wait for slots, for as long as anybody does.
        let clock = Task {
            while !Task.isCancelled {
                world.time.advance(by: .milliseconds(50))
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<24 {
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(worker))
                    for _ in 0..<150 {
                        let key = keys[Int.random(in: 0..<12, using: &random)]
                        switch Int.random(in: 0..<10, using: &random) {
                        case 0..<5: _ = try? await manager.acquire(key, within: .seconds(1))
                        case 5: _ = try? await manager.release(key)
                        case 6: _ = try? await manager.keepalive(key)
                        case 7: _ = try? await manager.reportUnhealthy(key)
                        case 8: await manager.round([.reaper, .outbox, .extender][worker % 3])
                        default: world.time.advance(by: .milliseconds(200))
                        }
                        let gauges = manager.gauges()
                        #expect(gauges.usage.slots <= 8 && gauges.usage.largestUser <= 2)
                        #expect(gauges.userLocks.idle == 0 && gauges.userLocks.held <= 12)
                    }
                }
            }
        }
        clock.cancel()
        await clock.value
        #expect(await world.passing(.seconds(1)) { world.spawner.liveCount == 0 })
        #expect(world.provider.peak <= 8)
        for user in 0..<4 { #expect(world.provider.peak(ofUser: "u\(user)") <= 2) }
        for key in keys {
            _ = try await manager.release(key)
        }
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        await world.expectQuiet()
    }

    @Test func `I7 K1 a lease that is used while the store is asked what is due lives on`() async throws {
        let world = World(gated: true) { $0.idleTimeout = .seconds(16) }
        let store = try #require(world.gate)
        let key = try key()
        let grant = try await world.manager.acquire(key)
        let manager = world.manager
        store.close(.dueLeases, .before)
        let round = world.start { () async throws(ManagerError) in await manager.round(.reaper) }
        #expect(await store.arrived(.dueLeases, .before))
        // Memory alone hears of these uses: the store was told before, and is told again in the next round.
        for _ in 0..<3 {
            world.time.advance(by: .seconds(6))
            #expect(manager.acquireIfFresh(key)?.sandbox.id == grant.sandbox.id)
        }
        store.open(.dueLeases, .before)
        #expect(try await round.value.get() == .ok)
        #expect(await world.spawner.idle())
        #expect(manager.acquireIfFresh(key) != nil && world.provider.live[grant.sandbox.id] != nil)
        #expect(world.provider.count(of: .kill) == 0 && world.store.usage().active == 1)
    }
}
