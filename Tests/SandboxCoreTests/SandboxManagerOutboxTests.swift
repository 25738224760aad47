import SandboxCore
import TestSupport
import Testing

/// The worker that repeats kills and finds out what became of lost creates.
@Suite(.timeLimit(.minutes(2))) struct SandboxManagerOutboxTests {
    @Test func `T1 O3 a repeated kill that hangs delays neither other kills nor open intents`() async throws {
        let world = World { $0.createRetries = 0 }
        world.provider.script(.kill, .fail(Failures.http(500, .kill)), .fail(Failures.http(500, .kill)))
        _ = try await world.manager.acquire(try key("slow"))
        #expect(try await world.manager.release(try key("slow")) == .releasing)
        world.time.advance(by: .seconds(2))
        world.provider.ignoreCancellation(true)
        world.provider.hold(.kill)
        let manager = world.manager
        let round = world.start { () async throws(ManagerError) in await manager.round(.outbox) }
        let hung = try #require(await world.provider.nextHeld(.kill))
        #expect(await world.time.sleeper(dueIn: .seconds(2) ... .seconds(2)))
        world.time.advance(by: .seconds(2))
        #expect(try await round.value.get() == .ok, "nobody knows yet, so nothing failed")
        // While it hangs, another is released, fails once, and is repeated.
        world.provider.unhold(.kill)
        _ = try await manager.acquire(try key("other"))
        #expect(try await manager.release(try key("other")) == .releasing)
        world.time.advance(by: .seconds(2))
        #expect(await manager.round(.outbox) == .ok)
        #expect(world.provider.live.keys.map(\.self) == [try #require(hung.call.sandbox)])
        #expect(world.store.usage().slots == 1)
        hung.resume()
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        await world.expectQuiet()
    }

    @Test func `T1 kills that hang are never more than so many at once, and make room when they end`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 100) }
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        for number in 0..<50 {
            _ = try await world.manager.acquire(try key("u\(number)"))
            #expect(try await world.manager.release(try key("u\(number)")) == .releasing)
        }
        world.provider.always(.kill, nil)
        world.provider.ignoreCancellation(true)
        world.provider.hold(.kill)
        world.time.advance(by: .seconds(2))
        let manager = world.manager
        for _ in 0..<3 {
            let round = world.start { () async throws(ManagerError) in await manager.round(.outbox) }
            #expect(await world.passing(.seconds(1), atMost: 5) { round.isDone })
        }
        #expect(world.provider.count(of: .kill) == 50 + 32)
        world.provider.unhold(.kill)
        for _ in 0..<32 { try #require(await world.provider.nextHeld(.kill)).resume() }
        #expect(await world.spawner.idle())
        #expect(await manager.round(.outbox) == .ok)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `M2 a sandbox that two attempts killed is counted once`() async throws {
        let world = World()
        let patient = RecordingObserver()
        let replica = world.replica(patient) { $0.killTimeout = .seconds(60) }
        _ = try await world.manager.acquire(try key())
        world.provider.hold(.kill)
        let key = try key()
        let release = world.start { () async throws(ManagerError) in try await replica.release(key) }
        let first = try #require(await world.provider.nextHeld(.kill))
        #expect(await world.time.sleeper(dueIn: .seconds(5) ... .seconds(5)))
        world.time.advance(by: .seconds(30))
        #expect(try await release.value.get() == .releasing)
        let manager = world.manager
        let round = world.start { () async throws(ManagerError) in await manager.round(.outbox) }
        try #require(await world.provider.nextHeld(.kill)).resume()
        #expect(try await round.value.get() == .ok)
        #expect(world.store.usage() == StoreUsage())
        first.resume()
        #expect(await world.spawner.idle())
        #expect(world.observer.record.sandboxesKilled == [.released: 1] && patient.record.sandboxesKilled.isEmpty)
        #expect(try await manager.stats().totals.cleanedUp == 1)
    }

    @Test func `O3 pauses between kills grow up to a minute, and it goes on until the sandbox is dead`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        world.provider.always(.kill, .fail(Failures.http(503, .kill)))
        #expect(try await world.manager.release(try key()) == .releasing)
        var pauses: [Int] = []
        var waited = 0
        while pauses.count < 12, waited <= 61 {
            world.time.advance(by: .seconds(1))
            waited += 1
            let before = world.provider.count(of: .kill)
            await world.manager.round(.outbox)
            guard world.provider.count(of: .kill) > before else { continue }
            pauses.append(waited)
            waited = 0
        }
        #expect(pauses.count == 12, "it is never given up: \(pauses)")
        // With jitter each is between half its bound and the bound, rounded up to our whole steps.
        for (number, pause) in pauses.enumerated() {
            let bound = min(1 << min(number, 6), 60)
            #expect(pause >= bound / 2 && pause <= bound + 1, "attempt \(number): \(pauses)")
        }
        #expect(world.store.usage().slots == 1)
        world.provider.vanish(try #require(world.provider.live.keys.first))
        world.provider.always(.kill, nil)
        world.time.advance(by: .seconds(60))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage() == StoreUsage(), "404 is as good as 204")
    }

    @Test func `O1 nothing is made again while nobody can say what became of the last create`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 5) }
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        world.provider.always(.list, .fail(Failures.http(503, .list)))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error?.reason == .providerUnavailable)
        #expect(world.provider.count(of: .create) == 1 && world.provider.live.count == 1)
        #expect(world.store.usage().intents == 1 && world.store.usage().slots == 1)
        world.provider.always(.list, nil)
        world.time.advance(by: .seconds(10))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `O1 what is listed but cannot be read is not made a second time`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 5) }
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        world.provider.always(.info, .fail(Failures.http(503, .info)))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(world.provider.count(of: .create) == 1)
    }

    @Test func `I5 a lost create's token on another's sandbox kills nothing`() async throws {
        let world = World { $0.createRetries = 0 }
        world.provider.hold(.create)
        let task = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        var order = try #require(held.call.order)
        order.labels.key = try key("mallory")
        let foreign = world.provider.plant(order)
        held.resume(.fail(Failures.reset()))
        #expect(await world.passing(.milliseconds(500)) { task.isDone })
        world.time.advance(by: .seconds(200))
        for _ in 0..<2 { #expect(await world.manager.round(.outbox) == .ok) }
        #expect(world.provider.live[foreign] != nil && world.provider.count(of: .kill) == 0)
        #expect(world.observer.record.ambiguities == [.absent: 1])
        #expect(world.store.usage() == StoreUsage())
    }
}
