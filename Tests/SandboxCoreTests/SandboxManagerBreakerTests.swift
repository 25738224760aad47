import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerBreakerTests {
    /// A world whose creates are tried once, and for so many users.
    private static func world(_ configure: (inout ManagerConfiguration) -> Void = { _ in }) -> World {
        World {
            $0.createRetries = 0
            configure(&$0)
        }
    }

    /// Lets creates fail until it is open.
    private static func open(_ world: World) async throws {
        world.provider.always(.create, .fail(Failures.http(503)))
        for number in 0..<10 where world.manager.gauges().providerBreaker == .closed {
            let error = await #expect(throws: ManagerError.self) {
                try await world.manager.acquire(try key("failing-\(number)"))
            }
            #expect(error?.reason == .providerUnavailable)
        }
        #expect(world.manager.gauges().providerBreaker == .open)
        #expect(world.observer.record.breakerChanges == [.provider: [.open]])
    }

    @Test func `after ten failures calls fail at once, nothing is sent, and nothing is left behind`() async throws {
        let world = Self.world()
        try await Self.open(world)
        world.time.advance(by: .seconds(4))
        let error = await #expect(throws: ManagerError.self) { try await world.acquiring(try key()).value.get() }
        #expect(error == .breakerOpen(retryAfter: .seconds(11)) && error?.reason == .breakerOpen)
        #expect(world.provider.count(of: .create) == 10)
        #expect(world.observer.record.breakerRejections == [.provider: 1])
        #expect(world.observer.record.provider[.create] == [.http5xx: 10], "a refused call is no call")
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `fresh leases are served and probes go on while it is open`() async throws {
        let world = Self.world()
        let first = try await world.acquiring(try key()).value.get()
        try await Self.open(world)
        #expect(world.manager.acquireIfFresh(try key())?.sandbox.id == first.sandbox.id)
        world.time.advance(by: .seconds(10))
        _ = try await world.acquiring(try key()).value.get()
        // It lay idle longer than the window: a probe goes to its own edge, past the control plane.
        let probes = world.provider.count(of: .health)
        world.time.advance(by: .seconds(31))
        world.provider.script(.create, .fail(Failures.http(503)))
        await #expect(throws: ManagerError.self) { try await world.acquiring(try key("trial")).value.get() }
        #expect(world.manager.gauges().providerBreaker == .open)
        #expect(try await world.acquiring(try key()).value.get().source == .verified)
        #expect(world.provider.count(of: .health) == probes + 1)
        await world.expectQuiet()
    }

    @Test func `open intents wait while it is open, and nothing is asked in vain`() async throws {
        let world = Self.world()
        world.provider.script(.create, .fail(Failures.reset()))
        let lost = world.acquiring(try key("lost"))
        #expect(await world.passing(.milliseconds(250)) { lost.isDone })
        _ = await lost.value
        try await Self.open(world)
        world.time.advance(by: .seconds(10))
        let lists = world.provider.count(of: .list)
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.observer.record.breakerRejections.isEmpty && world.provider.count(of: .list) == lists)
        #expect(world.store.usage().intents == 1)
        // Half open, one look is the trial.
        world.time.advance(by: .seconds(5))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.count(of: .list) == lists + 1)
        #expect(world.manager.gauges().providerBreaker == .closed)
    }

    @Test func `half open one success closes it`() async throws {
        let world = Self.world()
        try await Self.open(world)
        world.time.advance(by: .seconds(15))
        #expect(world.manager.gauges().providerBreaker == .halfOpen)
        world.provider.always(.create, nil)
        #expect(try await world.acquiring(try key()).value.get().source == .created)
        #expect(world.manager.gauges().providerBreaker == .closed)
        #expect(world.observer.record.breakerChanges == [.provider: [.open, .halfOpen, .closed]])
        await world.expectQuiet()
    }

    @Test func `half open one failure opens it again`() async throws {
        let world = Self.world()
        try await Self.open(world)
        world.time.advance(by: .seconds(15))
        await #expect(throws: ManagerError.self) { try await world.acquiring(try key()).value.get() }
        #expect(world.provider.count(of: .create) == 11)
        #expect(world.manager.gauges().providerBreaker == .open)
        let error = await #expect(throws: ManagerError.self) { try await world.acquiring(try key()).value.get() }
        #expect(error == .breakerOpen(retryAfter: .seconds(15)))
        #expect(world.provider.count(of: .create) == 11)
        await world.expectQuiet()
    }

    @Test func `kills go on while it is open, those of the outbox a few at a time`() async throws {
        let world = Self.world()
        for number in 0..<6 { _ = try await world.manager.acquire(try key("user-\(number)")) }
        try await Self.open(world)
        #expect(try await world.manager.release(try key("user-0")) == .released)
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        for number in 1..<6 {
            let key = try key("user-\(number)")
            let task = world.start { [manager = world.manager] () async throws(ManagerError) in
                try await manager.release(key)
            }
            #expect(try await task.value.get() == .releasing)
        }
        #expect(world.store.usage().outbox == 5)
        world.provider.always(.kill, nil)
        world.time.advance(by: .seconds(10))
        #expect(world.manager.gauges().providerBreaker == .open)
        let before = world.provider.count(of: .kill)
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.count(of: .kill) == before + 2)
        world.time.advance(by: .seconds(5))
        #expect(await world.manager.round(.outbox) == .ok)
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `failed kills, failed probes and refusals of the provider never open it`() async throws {
        let world = Self.world { $0.limits = SlotLimits(perUser: 100, total: 100) }
        world.provider.always(.create, .fail(Failures.http(400)))
        for number in 0..<30 {
            await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key("user-\(number)")) }
        }
        world.provider.always(.create, nil)
        let grant = try await world.acquiring(try key()).value.get()
        world.provider.setVerdict(.timedOut(after: .seconds(5)), of: grant.sandbox.id)
        for _ in 0..<15 {
            world.time.advance(by: .milliseconds(10))
            _ = try await world.manager.reportUnhealthy(try key())
        }
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        _ = try await world.manager.release(try key())
        for _ in 0..<15 {
            await world.manager.round(.outbox)
            world.time.advance(by: .seconds(61))
        }
        #expect(world.provider.count(of: .kill) > 10)
        #expect(world.manager.gauges().providerBreaker == .closed)
        #expect(world.observer.record.breakerChanges.isEmpty)
    }

    @Test func `I8 a silent sandbox is not looked up while it is open, and its lease is kept`() async throws {
        let world = Self.world()
        let grant = try await world.acquiring(try key()).value.get()
        world.provider.setVerdict(.timedOut(after: .seconds(5)), of: grant.sandbox.id)
        for _ in 0..<3 {
            _ = try await world.manager.reportUnhealthy(try key())
            world.time.advance(by: .seconds(31))
        }
        let looks = world.provider.count(of: .info)
        try await Self.open(world)
        #expect(try await world.manager.reportUnhealthy(try key()) == .timedOut(after: .seconds(5)))
        #expect(world.provider.count(of: .info) == looks)
        #expect(world.observer.record.healthSkipped[.breakerOpen] == 1)
        #expect(world.store.usage().active == 1)
        await world.expectQuiet()
    }

    @Test func `a creation that the breaker refuses costs the user no token`() async throws {
        let world = Self.world { $0.creationRate = CreationRate(perMinute: 1, burst: 1) }
        try await Self.open(world)
        for _ in 0..<3 {
            let error = await #expect(throws: ManagerError.self) { try await world.acquiring(try key()).value.get() }
            #expect(error?.reason == .breakerOpen)
        }
        world.time.advance(by: .seconds(15))
        world.provider.always(.create, nil)
        #expect(try await world.acquiring(try key()).value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `slow creates open it`() async throws {
        let world = Self.world { $0.breaker.minimumCalls = 2 }
        world.provider.hold(.create)
        for number in 0..<2 {
            let task = world.acquiring(try key("user-\(number)"))
            let held = try #require(await world.provider.nextHeld(.create))
            world.time.advance(by: .seconds(10))
            held.resume()
            #expect(try await task.value.get().source == .created)
        }
        #expect(world.manager.gauges().providerBreaker == .open)
        await world.expectQuiet()
    }
}
