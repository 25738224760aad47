import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerCreationTests {
    @Test(arguments: [400, 401, 403, 404, 409])
    func `T5 what no repetition mends is tried once`(status: Int) async throws {
        let world = World()
        world.provider.always(.create, .fail(Failures.http(status)))
        let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        #expect(error?.reason == (status == 401 || status == 403 ? .providerUnauthorized : .providerRejected))
        #expect(world.provider.count(of: .create) == 1)
        #expect(world.store.usage() == StoreUsage())
        #expect(world.observer.record.retries.isEmpty && world.observer.record.exhausted.isEmpty)
        await world.expectQuiet()
    }

    @Test func `T5 two retries mean three attempts, with growing pauses, and then it is over`() async throws {
        let world = World()
        world.provider.always(.create, .fail(Failures.http(503)))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(500)) { task.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error?.reason == .providerUnavailable)
        #expect(world.provider.count(of: .create) == 3)
        #expect(world.observer.record.retries == [.create: [.http5xx: 2]])
        #expect(world.observer.record.exhausted == [.create: 1])
        #expect(world.store.usage() == StoreUsage(), "the slot of a creation that made nothing is free")
        await world.expectQuiet()
    }

    @Test func `T5 an upstream's wish is obeyed`() async throws {
        let world = World()
        let failure = ProviderError(.create, .rateLimited, "slow down", effect: .none, retryAfter: .seconds(7))
        world.provider.script(.create, .fail(failure))
        let task = world.acquiring(try key())
        #expect(await world.time.sleeper(dueIn: .seconds(7) ... .seconds(8)))
        world.time.advance(by: .seconds(6.9))
        #expect(world.provider.count(of: .create) == 1)
        world.time.advance(by: .seconds(1.2))
        #expect(try await task.value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `T5 a reset that surely had no effect is tried again under the same slot`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        world.provider.script(.create, .fail(Failures.reset(effect: .none)))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(500)) { task.isDone })
        #expect(try await task.value.get().source == .created)
        let tokens = world.provider.calls.compactMap(\.order?.labels.token)
        #expect(tokens.count == 2 && Set(tokens).count == 1)
        await world.expectQuiet()
    }

    @Test func `O1 a create whose reply is lost is adopted by its token`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        let grant = try await world.manager.acquire(try key())
        #expect(grant.source == .created && grant.sandbox.envdAccessToken != nil)
        #expect(world.provider.live.keys.first == grant.sandbox.id && world.provider.count(of: .create) == 1)
        #expect(world.observer.record.ambiguities == [.adopted: 1])
        #expect(world.store.usage().intents == 0 && world.store.usage().slots == 1)
        await world.expectQuiet()
    }

    @Test func `O1 I3 of two sandboxes under one token one is adopted and the other killed`() async throws {
        let world = World()
        world.provider.hold(.create)
        let task = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        // The way to the provider repeated the request by itself.
        world.provider.plant(try #require(held.call.order))
        held.resume(.proceedThenFail(Failures.reset()))
        let grant = try await task.value.get()
        #expect(world.store.usage().outbox == 1)
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.live.keys.map(\.self) == [grant.sandbox.id])
        #expect(world.store.usage().slots == 1)
        await world.expectQuiet()
    }

    @Test func `I5 a sandbox listed under the token but owned by another is not adopted`() async throws {
        let world = World { $0.createRetries = 0 }
        world.provider.hold(.create)
        let task = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        var order = try #require(held.call.order)
        order.labels.key = try key("mallory")
        world.provider.plant(order)
        held.resume(.fail(Failures.reset()))
        #expect(await world.passing(.milliseconds(500)) { task.isDone })
        await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(world.observer.record.ownershipMismatches > 0)
    }

    @Test func `a create of unknown outcome keeps its slot until absence is sure`() async throws {
        let world = World {
            $0.limits = SlotLimits(perUser: 1, total: 5)
            $0.createRetries = 0
        }
        world.provider.script(.create, .fail(Failures.reset()))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error?.reason == .providerUnavailable)
        #expect(world.store.usage().slots == 1 && world.store.usage().intents == 1)
        #expect(world.store.usage().reservations == 0)
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
        world.time.advance(by: .seconds(100))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage().slots == 1, "not before the grace is over")
        world.time.advance(by: .seconds(6))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage() == StoreUsage())
        #expect(world.observer.record.ambiguities == [.absent: 1])
        await world.expectQuiet()
    }

    @Test func `I3 I4 a lost create that shows up late is killed, and its slot is taken until then`() async throws {
        let world = World {
            $0.limits = SlotLimits(perUser: 1, total: 5)
            $0.createRetries = 0
        }
        world.provider.hideFromLists(true)
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        let task = world.acquiring(try key())
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        await #expect(throws: ManagerError.self) { try await task.value.get() }
        world.time.advance(by: .seconds(50))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.store.usage().slots == 1)
        world.provider.hideFromLists(false)
        world.time.advance(by: .seconds(6))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.observer.record.ambiguities == [.killed: 1])
        #expect(world.store.usage().slots == 1 && world.store.usage().outbox == 1)
        let denied = await #expect(throws: ManagerError.self) {
            try await world.manager.acquire(try key(), within: .zero)
        }
        #expect(denied?.reason == .deadlineExceeded)
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.peak(ofUser: "alice") == 1)
    }

    @Test func `after a lost create another attempt takes a second slot, or fails by the limit`() async throws {
        for (perUser, isServed) in [(2, true), (1, false)] {
            let world = World { $0.limits = SlotLimits(perUser: perUser, total: 5) }
            world.provider.script(.create, .fail(Failures.reset()))
            let task = world.acquiring(try key())
            #expect(await world.passing(.milliseconds(250)) { task.isDone })
            let outcome = await task.value
            #expect((try? outcome.get().source) == (isServed ? .created : nil))
            if case .failure(let error) = outcome { #expect(error.reason == .userLimit) }
            #expect(world.store.usage().slots == perUser)
            #expect(world.store.usage().intents == 1)
            await world.expectQuiet()
        }
    }

    @Test func `a create that never answers ends at its limit, and what it made late is killed`() async throws {
        let world = World { $0.createRetries = 0 }
        world.provider.ignoreCancellation(true)
        world.provider.hold(.create)
        let task = world.acquiring(try key())
        let held = try #require(await world.provider.nextHeld(.create))
        await world.time.sleeper(dueIn: .seconds(75) ... .seconds(75))
        world.time.advance(by: .seconds(75))
        #expect(await world.passing(.milliseconds(250)) { task.isDone })
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error?.reason == .createTimedOut)
        held.resume()
        #expect(await world.spawner.idle())
        #expect(world.provider.live.count == 1)
        world.time.advance(by: .seconds(10))
        await world.manager.round(.outbox)
        await world.manager.round(.outbox)
        #expect(world.provider.live.isEmpty)
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `I3 absence is not believed before the last attempt had its full time`() async throws {
        // The first attempt fails late without effect; the second, under the same slot, is lost at the deadline.
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let task = world.acquiring(key, within: .seconds(500))
        let first = try #require(await world.provider.nextHeld(.create))
        world.time.advance(by: .seconds(70))
        first.resume(.fail(Failures.http(503)))
        await world.time.sleeper(dueIn: .zero ... .seconds(1))
        world.time.advance(by: .seconds(1))
        let second = try #require(await world.provider.nextHeld(.create))
        #expect(second.call.order?.labels.token == first.call.order?.labels.token)
        #expect(await world.passing(.seconds(1)) { task.isDone })
        await #expect(throws: ManagerError.self) { try await task.value.get() }
        // 106 s after the reservation, but only some after the second attempt began.
        world.time.advance(by: .seconds(16))
        await world.manager.round(.outbox)
        #expect(world.store.usage().slots == 1)
    }
}
