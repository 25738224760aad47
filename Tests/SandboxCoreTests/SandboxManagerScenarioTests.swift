import TestSupport
import Testing

@testable import SandboxCore

/// Failures of an earlier manager that this one's shape rules out; each of these turns red should one come back.
@Suite(.timeLimit(.minutes(2))) struct SandboxManagerScenarioTests {
    @Test func `L7 a full pool lets go of what is idle or dead, and then serves whoever was refused`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 2) }
        let dead = try await world.manager.acquire(try key("ann"))
        _ = try await world.manager.acquire(try key("ben"))
        world.provider.vanish(dead.sandbox.id)
        let refused = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key("cleo")) }
        #expect(refused?.reason == .totalLimit)
        world.time.advance(by: .seconds(500))
        #expect(await world.manager.round(.reaper) == .ok)
        #expect(await world.spawner.idle())
        for user in ["cleo", "dora"] { #expect(try await world.manager.acquire(try key(user)).source == .created) }
        #expect(world.provider.peak == 2)
        await world.expectQuiet()
    }

    @Test func `O9 a listing that failed is no listing: nothing is created before one succeeded`() async throws {
        let world = World(recovered: false)
        world.provider.always(.list, .fail(Failures.http(503, .list)))
        #expect(await world.manager.takeOverEverything() == false)
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        #expect(world.provider.count(of: .create) == 0)
        world.provider.always(.list, nil)
        #expect(await world.manager.takeOverEverything() == true)
        let lists = world.provider.count(of: .list)
        #expect(try await world.manager.acquire(try key()).source == .created)
        #expect(world.provider.count(of: .list) == lists, "from then on no key is looked up before its creation")
        await world.expectQuiet()
    }

    @Test func `T9 a creation is one call to the provider, whatever the caller wishes`() async throws {
        let world = World()
        let wishes = AcquireOptions(metadata: ["colour": "red"], environment: ["TOKEN": Secret("x")])
        _ = try await world.manager.acquire(try key(), wishes)
        #expect(world.provider.calls.map(\.operation) == [.create], "nothing is written into the sandbox afterwards")
        #expect(world.provider.calls[0].order?.environment["TOKEN"]?.reveal() == "x")
        await world.expectQuiet()
    }

    @Test func `T11 loops that were ended run again when they are started again`() async throws {
        let world = World()
        let manager = world.manager
        for time in 1...2 {
            let running = Task { await manager.run() }
            #expect(await world.time.sleepers(atLeast: 5))
            #expect(
                await world.passing(.seconds(1), atMost: 60) { world.observer.record.loops[.reaper] == [.ok: time] }
            )
            running.cancel()
            await running.value
            #expect(world.time.sleeperCount == 0)
        }
        // A manager that was shut down stays so; the next one, on the same store, sweeps what it left.
        _ = try await manager.acquire(try key())
        await manager.shutdown()
        let next = world.replica()
        world.time.advance(by: .seconds(500))
        let running = Task { await next.run() }
        #expect(await world.time.sleepers(atLeast: 5))
        #expect(await world.passing(.seconds(1), atMost: 60) { world.provider.live.isEmpty })
        running.cancel()
        await running.value
    }

    @Test func `T12 managers of one process share nothing, whatever runs them`() async throws {
        let worlds = (0..<4).map { _ in World { $0.limits = SlotLimits(perUser: 1, total: 1) } }
        let key = try key()
        await withTaskGroup(of: Void.self) { group in
            for world in worlds {
                for _ in 0..<50 {
                    group.addTask {
                        let grant = try? await world.manager.acquire(key)
                        #expect(grant != nil)
                    }
                }
            }
        }
        for world in worlds { #expect(world.provider.count(of: .create) == 1) }
        worlds[0].manager.beginDraining()
        #expect(try await worlds[0].manager.acquireOrReason(key) == .draining)
        #expect(try await worlds[1].manager.release(key) == .released)
        #expect(worlds[2].manager.acquireIfFresh(key) != nil)
        for world in worlds { await world.expectQuiet() }
    }

    @Test func `T15 the configured template is booted when the caller names none`() async throws {
        let world = World { $0.template = "ours" }
        _ = try await world.manager.acquire(try key("ann"))
        _ = try await world.manager.acquire(try key("ben"), AcquireOptions(template: "theirs"))
        #expect(world.provider.calls.compactMap(\.order?.template) == ["ours", "theirs"])
    }

    @Test func `S4 no look at a lease changes it, least of all a paused one`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        _ = try await world.manager.pause(try key())
        let calls = world.provider.calls.count
        for manager in [world.manager, world.replica()] {
            #expect(try await manager.describe(try key()).record.isPaused)
            #expect(try await manager.list(user: nil, limit: 10, after: nil).leases.count == 1)
            #expect(try await manager.explain(try key()).lease?.record.isPaused == true)
            #expect(try await manager.stats().gauges.usage.paused == 1)
        }
        #expect(world.provider.calls.count == calls)
    }

    @Test func `M3 only acquires count as hits and misses, and a store that is away makes no miss`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        let manager = world.manager
        _ = try await manager.acquire(try key())
        store.fail(.lookup, StoreError("down"))
        _ = try await manager.acquire(try key())
        world.time.advance(by: .seconds(31))
        _ = try await manager.acquire(try key())
        store.fail(.lookup, nil)
        _ = try await manager.describe(try key())
        _ = try await manager.explain(try key())
        _ = try await manager.list(user: nil, limit: 10, after: nil)
        _ = try await manager.keepalive(try key())
        _ = try await manager.reportUnhealthy(try key())
        _ = try? await manager.describe(try key("nobody"))
        let totals = try await manager.stats().totals
        #expect(totals.requests == 3 && totals.cacheHits == 2 && totals.cacheMisses == 1)
        #expect(world.observer.record.cacheHits == 2 && world.observer.record.cacheMisses == 1)
    }

    @Test func `M4 what is dead or dying is not counted as active`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        world.provider.vanish(first.sandbox.id)
        world.time.advance(by: .seconds(31))
        _ = try await world.manager.acquire(try key())
        #expect(world.store.usage().active == 1 && world.store.usage().slots == 1)
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        #expect(try await world.manager.release(try key()) == .releasing)
        let usage = try await world.manager.stats().gauges.usage
        #expect(usage.active == 0 && usage.outbox == 1 && usage.slots == 1)
    }

    @Test func `M5 every round of every loop is counted with its result and its items`() async throws {
        let world = World()
        let loops: [LoopName] = [.reaper, .outbox, .extender]
        for loop in loops { #expect(await world.manager.round(loop) == .ok) }
        for loop in loops {
            #expect(world.observer.record.loops[loop] == [.ok: 1], "a round with nothing to do is a success")
            #expect(world.observer.record.loopItems[loop] == [.scanned: 0, .acted: 0, .failed: 0])
        }
        _ = try await world.manager.acquire(try key())
        world.time.advance(by: .seconds(500))
        await world.manager.round(.reaper)
        #expect(world.observer.record.loopItems[.reaper] == [.scanned: 1, .acted: 1, .failed: 0])
    }
}

extension SandboxManager {
    /// Why an acquire is refused; `nil` if it is not.
    fileprivate func acquireOrReason(_ key: LeaseKey) async throws -> ErrorReason? {
        do throws(ManagerError) {
            _ = try await acquire(key)
            return nil
        } catch {
            return error.reason
        }
    }
}
