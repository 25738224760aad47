import TestSupport
import Testing

@testable import SandboxCore

extension World {
    /// A world with a pool.
    static func pooled(
        _ target: Int,
        capabilities: ProviderCapabilities = ProviderCapabilities(canPause: true, outlivesProcess: true),
        gated: Bool = false,
        recovered: Bool = true,
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) -> World {
        World(capabilities: capabilities, gated: gated, recovered: recovered) {
            $0.warmPool.target = target
            $0.warmPool.perSecond = 100
            configure(&$0)
        }
    }

    /// One round of the filler, and the end of what it began.
    @discardableResult
    func fill(_ manager: SandboxManager? = nil) async -> LoopResult {
        let result = await (manager ?? self.manager).round(.poolFiller)
        #expect(await spawner.idle(), "still running: \(spawner.liveNames)")
        return result
    }
}

@Suite(.timeLimit(.minutes(1))) struct WarmPoolFillTests {
    @Test func `the pool is filled to its target at its pace, and its members are nobody's leases`() async throws {
        let world = World.pooled(3) { $0.warmPool.perSecond = 1 }
        for count in 1...3 {
            #expect(await world.fill() == .ok)
            #expect(world.store.usage().warm == count)
            #expect(await world.fill() == .ok)
            #expect(world.store.usage().warm == count, "one each second")
            world.time.advance(by: .seconds(1))
        }
        await world.fill()
        #expect(world.provider.count(of: .create) == 3)
        let gauges = world.manager.gauges()
        #expect(gauges.warmPool.ready == 3 && gauges.warmPool.target == 3 && gauges.warmPool.pending == 0)
        #expect(gauges.usage.slots == 3 && gauges.leasesActive == 0 && gauges.usage.largestUser == 0)
        #expect(gauges.collections.first { $0.name == .warmPool }?.entries == 3)
        #expect(try await world.manager.list(user: nil, limit: 9, after: nil).leases.isEmpty)
        #expect(world.observer.record.sandboxesCreated == [.warmPool: 3])
        #expect(world.observer.record.loopItems[.poolFiller]?[.acted] == 3)
        await world.expectQuiet()
    }

    @Test func `I2 members being made count: a slow provider gets no second order for the same place`() async throws {
        let world = World.pooled(2)
        world.provider.hold(.create)
        await world.manager.round(.poolFiller)
        let first = await world.provider.nextHeld(.create)
        let second = await world.provider.nextHeld(.create)
        #expect(world.manager.gauges().warmPool.pending == 2)
        world.time.advance(by: .seconds(5))
        await world.manager.round(.poolFiller)
        first?.resume()
        second?.resume()
        #expect(await world.spawner.idle())
        #expect(world.provider.count(of: .create) == 2 && world.store.usage().warm == 2)
        await world.expectQuiet()
    }

    @Test func `I2 several replicas together make no more than the target`() async throws {
        let world = World.pooled(3)
        let other = world.replica {
            $0.warmPool.target = 3
            $0.warmPool.perSecond = 100
        }
        world.provider.hold(.create)
        // Both count before either has begun: only the store can tell them apart.
        await world.manager.round(.poolFiller)
        await other.round(.poolFiller)
        for _ in 0..<3 { await world.provider.nextHeld(.create)?.resume() }
        #expect(await world.spawner.idle())
        #expect(world.provider.peak == 3 && world.store.usage().warm == 3)
    }

    @Test func `failed creations are partial rounds, with longer and longer pauses`() async throws {
        let world = World.pooled(1)
        world.provider.always(.create, .fail(Failures.http(400)))
        await world.fill()
        #expect(world.store.usage() == StoreUsage(), "nothing was made, so nothing is held")
        #expect(await world.fill() == .partial)
        #expect(await world.fill() == .ok, "each failure is told of once")
        #expect(world.provider.count(of: .create) == 1)
        for second in 1...60 {
            world.time.advance(by: .seconds(1))
            await world.fill()
            if second == 8 { #expect(world.provider.count(of: .create) == 4) }
        }
        #expect(world.provider.count(of: .create) == 6, "after 0, 1, 3, 7, 15 and 31 seconds")
        world.provider.always(.create, nil)
        world.time.advance(by: .seconds(64))
        await world.fill()
        #expect(world.store.usage().warm == 1)
        await world.expectQuiet()
    }

    @Test func `I3 I4 what a creation of unknown outcome made is killed, and its slot counts until then`() async throws
    {
        let world = World.pooled(1)
        world.provider.script(.create, .proceedThenFail(Failures.reset()))
        await world.fill()
        #expect(world.provider.live.count == 1 && world.store.usage().slots == 1 && world.store.usage().warm == 0)
        world.time.advance(by: .seconds(2))
        await world.fill()
        #expect(world.provider.count(of: .create) == 1, "the place is taken until the outcome is known")
        await world.manager.round(.outbox)
        await world.manager.round(.outbox)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.fill()
        #expect(world.store.usage().warm == 1)
    }

    @Test func `I3 what a dead maker's creation made is killed, not taken over`() async throws {
        let world = World.pooled(1)
        let key = LeaseKey(warm: CreationToken("t"), template: "base")
        let request = ReservationRequest(
            key: key,
            owner: "dead",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 1, total: 9),
            intentDeadline: .seconds(100)
        )
        guard case .reserved(let epoch) = try await world.store.reserve(request) else { return }
        let labels = SandboxLabels(key: key, token: request.token, environment: "default", epoch: epoch)
        world.provider.plant(
            CreateRequest(template: "base", metadata: [:], environment: [:], life: .seconds(800), labels: labels)
        )
        world.time.advance(by: .seconds(101))
        await world.manager.round(.outbox)
        await world.manager.round(.outbox)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
    }

    @Test func `nothing is made while draining, behind an open breaker, or before everything is known`() async throws {
        let world = World.pooled(1, recovered: false) {
            $0.breaker.minimumCalls = 2
            $0.createRetries = 0
        }
        #expect(await world.fill() == .ok)
        #expect(world.provider.count(of: .create) == 0, "not before the first full listing")
        #expect(await world.manager.takeOverEverything())
        world.provider.always(.create, .fail(Failures.http(500)))
        for user in ["a", "b", "c"] { _ = try? await world.manager.acquire(try key(user)) }
        #expect(world.manager.gauges().providerBreaker == .open)
        let creates = world.provider.count(of: .create)
        #expect(await world.fill() == .ok)
        #expect(world.provider.count(of: .create) == creates)
        world.provider.always(.create, nil)
        world.time.advance(by: .seconds(60))
        world.manager.beginDraining()
        #expect(await world.fill() == .ok)
        #expect(world.provider.count(of: .create) == creates)
    }

    @Test func `the pacer of the provider's limits holds the pool back`() async throws {
        let world = World.pooled(2) { $0.warmPool.perSecond = 1 }
        let busy = ProviderError(.create, .rateLimited, "too many", effect: .none, retryAfter: .seconds(40))
        world.provider.script(.create, .fail(busy))
        await world.fill()
        world.time.advance(by: .seconds(30))
        await world.fill()
        #expect(world.provider.count(of: .create) == 1)
        world.time.advance(by: .seconds(11))
        await world.fill()
        #expect(world.provider.count(of: .create) == 2)
    }

    @Test func `the filler takes free slots only`() async throws {
        let world = World.pooled(5) { $0.limits = SlotLimits(perUser: 9, total: 5) }
        for project in ["a", "b", "c"] { _ = try await world.manager.acquire(try key("u", project), .custom) }
        await world.fill()
        #expect(world.store.usage().warm == 2 && world.provider.peak == 5)
        world.time.advance(by: .seconds(60))
        await world.fill()
        #expect(world.provider.peak == 5)
    }

    @Test func `members get a longer life while young, and end and are replaced when old`() async throws {
        let world = World.pooled(1)
        await world.fill()
        let first = try #require(world.provider.live.keys.first)
        world.time.advance(by: .seconds(200))
        await world.fill()
        #expect(world.provider.count(of: .extend) == 0)
        world.time.advance(by: .seconds(110))
        await world.fill()
        #expect(world.provider.count(of: .extend) == 1)
        let members = try await world.store.list(user: LeaseKey.warmUser, limit: 9, after: nil).leases
        #expect(members.map(\.sandbox.remainingLife) == [.seconds(800)])
        for _ in 0..<11 {
            world.time.advance(by: .seconds(100))
            await world.fill()
        }
        #expect(world.provider.live[first] == nil, "older than three eighths of the greatest age")
        world.time.advance(by: .seconds(1))
        await world.fill()
        #expect(world.store.usage().warm == 1 && world.store.usage().slots == 1)
        #expect(world.observer.record.sandboxesKilled == [.warmExpired: 1])
        #expect(world.observer.record.leasesEnded.isEmpty, "nobody had leased it")
        await world.expectQuiet()
    }

    @Test func `a member that died unseen is ended when its life should be moved, or when it is over`() async throws {
        let world = World.pooled(2)
        await world.fill()
        for id in world.provider.live.keys { world.provider.vanish(id) }
        world.time.advance(by: .seconds(310))
        await world.fill()
        #expect(world.store.usage() == StoreUsage(), "the outbox learns that they are gone")
        await world.fill()
        #expect(world.store.usage().warm == 2)
        world.provider.always(.extend, .fail(Failures.http(500, .extend)))
        world.time.advance(by: .seconds(801))
        await world.manager.round(.reaper)
        #expect(await world.spawner.idle())
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        #expect(world.observer.record.sandboxesKilled == [.warmExpired: 4])
    }

    @Test func `a pool that was switched off is emptied`() async throws {
        let world = World.pooled(2)
        await world.fill()
        let off = world.replica()
        await world.fill(off)
        #expect(world.store.usage() == StoreUsage() && world.provider.live.isEmpty)
        let calls = world.provider.calls.count
        await world.fill(off)
        #expect(world.provider.calls.count == calls)
    }

    @Test func `T14 shutdown kills the members where nothing outlives the process`() async throws {
        let local = ProviderCapabilities(canPause: false, outlivesProcess: false)
        let world = World.pooled(2, capabilities: local)
        await world.fill()
        _ = try await world.manager.acquire(try key())
        await world.fill()
        await world.manager.shutdown()
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        #expect(world.observer.record.leasesEnded == [.shutdown: 1])
    }
}

extension AcquireOptions {
    /// What no member of the pool can serve.
    static let custom = AcquireOptions(metadata: ["purpose": "own"])
}
