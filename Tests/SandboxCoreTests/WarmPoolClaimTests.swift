import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct WarmPoolClaimTests {
    @Test func `an acquire gets a member without a creation, and whoever joins gets it from memory`() async throws {
        let world = World.pooled(1)
        await world.fill()
        let member = try #require(world.provider.live.keys.first)
        world.provider.hold(.health)
        let first = world.acquiring(try key())
        let probe = await world.provider.nextHeld(.health)
        world.provider.unhold(.health)
        let second = world.acquiring(try key())
        #expect(await world.waiters(1))
        probe?.resume()
        let grants = try [await first.value.get(), await second.value.get()]
        #expect(Set(grants.map(\.source)) == [.warmPool, .memory])
        #expect(grants.allSatisfy { $0.sandbox.id == member })
        #expect(world.provider.count(of: .create) == 1 && world.provider.count(of: .extend) == 0)
        #expect(try await world.manager.acquire(try key()).source == .memory)
        let record = world.observer.record
        #expect(record.warmPoolClaims == [.hit: 1] && record.acquired == [.warmPool: 1, .memory: 2])
        #expect(record.phases[.warmClaim] == 1 && record.started[.create] == nil)
        let usage = world.store.usage()
        #expect(usage.slots == 1 && usage.warm == 0 && usage.active == 1)
        #expect(try await world.manager.release(try key()) == .released)
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `a short life is moved before the lease begins`() async throws {
        let world = World.pooled(1)
        await world.fill()
        world.time.advance(by: .seconds(400))
        let grant = try await world.manager.acquire(try key())
        #expect(grant.source == .warmPool && world.provider.count(of: .extend) == 1)
        #expect(grant.expiresAt - world.time.wallNow() == .seconds(800))
    }

    @Test func `a claimed lease lies idle no longer than any other`() async throws {
        let world = World.pooled(1)
        await world.fill()
        _ = try await world.manager.acquire(try key(), AcquireOptions(idleTimeout: .seconds(60)))
        world.time.advance(by: .seconds(61))
        await world.manager.round(.reaper)
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.observer.record.leasesEnded == [.idle: 1])
    }

    @Test func `an empty pool is a miss, and the sandbox is created`() async throws {
        let world = World.pooled(1)
        #expect(try await world.manager.acquire(try key()).source == .created)
        #expect(world.observer.record.warmPoolClaims == [.miss: 1])
    }

    @Test(arguments: [
        AcquireOptions(template: "other"), .custom, AcquireOptions(environment: ["A": Secret("b")]),
        AcquireOptions(idleTimeout: .seconds(501)),
    ]) func `wishes that a member cannot fulfil are created`(options: AcquireOptions) async throws {
        let world = World.pooled(1)
        await world.fill()
        #expect(try await world.manager.acquire(try key(), options).source == .created)
        #expect(world.observer.record.warmPoolClaims.isEmpty && world.store.usage().warm == 1)
        let plain = AcquireOptions(template: "base", idleTimeout: .seconds(20))
        #expect(try await world.manager.acquire(try key("bob"), plain).source == .warmPool)
    }

    @Test func `dead members are stale: the next is tried, and after two a sandbox is created`() async throws {
        let world = World.pooled(3)
        await world.fill()
        let members = Set(world.provider.live.keys)
        let dead = members.sorted { $0.rawValue < $1.rawValue }.prefix(2)
        for id in dead { world.provider.vanish(id) }
        let grant = try await world.manager.acquire(try key())
        #expect(grant.source == .created || members.subtracting(dead).contains(grant.sandbox.id))
        // Members of one age are taken in any order.
        let claims = world.observer.record.warmPoolClaims
        #expect(claims[.stale, default: 0] + claims[.hit, default: 0] <= 2)
        #expect(world.store.usage().slots == 1 + world.store.usage().warm)
        for id in world.provider.live.keys { world.provider.vanish(id) }
        _ = try await world.manager.release(try key())
        #expect(try await world.manager.acquire(try key("bob")).source == .created)
        #expect(world.observer.record.sandboxesKilled[.warmExpired] == nil, "only the control plane's word counts")
        await world.expectQuiet()
    }

    @Test func `I8 one probe that fails destroys no member: the lease stays and is asked again`() async throws {
        let world = World.pooled(1)
        await world.fill()
        world.provider.script(.health, .verdict(.timedOut(after: .seconds(5))))
        let failed = await Result.catching { () async throws(ManagerError) in
            try await world.manager.acquire(LeaseKey(user: "alice", project: "p1"))
        }
        #expect(throws: ManagerError.self) { try failed.get() }
        #expect(world.provider.live.count == 1 && world.store.usage().active == 1)
        #expect(try await world.manager.acquire(try key()).source == .verified)
        #expect(world.provider.count(of: .create) == 1)
    }

    @Test func `I2 a user at their limit gets no member`() async throws {
        let world = World.pooled(3) { $0.limits.perUser = 1 }
        await world.fill()
        _ = try await world.manager.acquire(try key("alice", "p1"))
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key("alice", "p2")) }
        #expect(world.observer.record.limitRejections == [.user: 1])
        #expect(world.store.usage().warm == 2 && world.store.usage().largestUser == 1)
    }

    @Test func `the user's rate of creations does not apply to a claim`() async throws {
        let world = World.pooled(3) { $0.creationRate = CreationRate(perMinute: 1, burst: 1) }
        await world.fill()
        for project in ["a", "b"] {
            #expect(try await world.manager.acquire(try key("alice", project)).source == .warmPool)
        }
    }

    @Test func `I5 of many users at once nobody gets another's member`() async throws {
        let world = World.pooled(4)
        await world.fill()
        let calls = try (1...12).map { world.acquiring(try key("user\($0)")) }
        var ids: [SandboxID] = []
        for call in calls { ids.append(try await call.value.get().sandbox.id) }
        #expect(Set(ids).count == 12)
        #expect(world.observer.record.acquired == [.warmPool: 4, .created: 8])
        await world.expectQuiet()
    }

    @Test func `O7 a release between claim and lease has the last word`() async throws {
        let world = World.pooled(1, gated: true)
        await world.fill()
        world.gate?.close(.claimWarm, .after)
        let acquiring = world.acquiring(try key())
        await world.gate?.arrived(.claimWarm, .after)
        #expect(try await world.manager.release(try key()) == .released)
        world.gate?.open(.claimWarm, .after)
        await #expect(throws: ManagerError.self) { try await acquiring.value.get() }
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        #expect(world.manager.acquireIfFresh(try key()) == nil)
        await world.expectQuiet()
    }

    @Test func `O7 a release that was there before the claim has the last word`() async throws {
        let world = World.pooled(1, gated: true)
        await world.fill()
        world.gate?.close(.claimWarm, .before)
        let acquiring = world.acquiring(try key())
        await world.gate?.arrived(.claimWarm, .before)
        #expect(try await world.manager.release(try key()) == .released)
        world.gate?.open(.claimWarm, .before)
        await #expect(throws: ManagerError.self) { try await acquiring.value.get() }
        #expect(await world.spawner.idle())
        #expect(world.provider.live.isEmpty && world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `a claim whose maker died before the answer is found by the next acquire`() async throws {
        let world = World.pooled(1)
        await world.fill()
        let member = try #require(world.provider.live.keys.first)
        let request = WarmClaimRequest(
            key: try key(),
            template: "base",
            perUser: 2,
            leastLife: .seconds(30),
            idleTimeout: .seconds(500)
        )
        _ = try await world.store.claimWarm(request)
        let grant = try await world.manager.acquire(try key())
        #expect(grant.sandbox.id == member && grant.source == .reconnected)
        #expect(try await world.replica().acquire(try key()).sandbox.id == member)
        #expect(world.observer.record.ownershipMismatches == 0 && world.provider.count(of: .create) == 1)
    }

    // MARK: Yielding

    @Test func `at the total limit an acquire that a member suits takes it`() async throws {
        let world = World.pooled(1) { $0.limits = SlotLimits(perUser: 9, total: 1) }
        await world.fill()
        #expect(try await world.manager.acquire(try key()).source == .warmPool)
        #expect(world.provider.peak == 1)
    }

    @Test func `I2 at the total limit a member ends for a request that it does not suit`() async throws {
        let world = World.pooled(2) { $0.limits = SlotLimits(perUser: 9, total: 2) }
        await world.fill()
        let acquiring = world.acquiring(try key(), .custom)
        #expect(await world.passing(.milliseconds(20)) { acquiring.isDone })
        #expect(try await acquiring.value.get().source == .created)
        #expect(world.provider.peak == 2 && world.store.usage().warm == 1)
        #expect(world.observer.record.sandboxesKilled == [.warmExpired: 1])
        #expect(world.observer.record.limitRejections.isEmpty)
        _ = try await world.manager.release(try key())
        world.time.advance(by: .seconds(5))
        await world.fill()
        #expect(world.store.usage().warm == 1, "for a while the pool takes no slot that somebody may want")
        world.time.advance(by: .seconds(6))
        await world.fill()
        #expect(world.store.usage().warm == 2)
        await world.expectQuiet()
    }

    @Test func `somebody whose slot went to another request ends another member`() async throws {
        let world = World.pooled(2) { $0.limits = SlotLimits(perUser: 9, total: 2) }
        await world.fill()
        world.provider.hold(.kill)
        let first = world.acquiring(try key("first"), .custom)
        let kill = await world.provider.nextHeld(.kill)
        world.provider.unhold(.kill)
        // The slot is free, and somebody else asks before the one it was freed for.
        kill?.resume()
        #expect(await eventually { world.store.usage().slots == 1 })
        let second = try await world.replica().acquire(try key("second"), .custom)
        #expect(second.source == .created)
        #expect(await world.passing(.milliseconds(20)) { first.isDone })
        #expect(try await first.value.get().source == .created)
        #expect(world.provider.peak == 2 && world.store.usage().warm == 0)
    }

    @Test func `without a member to end, the total limit refuses as ever`() async throws {
        let world = World.pooled(1) { $0.limits = SlotLimits(perUser: 9, total: 1) }
        _ = try await world.manager.acquire(try key())
        let refused = world.acquiring(try key("bob"))
        #expect(await world.passing(.milliseconds(20)) { refused.isDone })
        await #expect(throws: ManagerError.self) { try await refused.value.get() }
        #expect(world.observer.record.limitRejections == [.total: 1])
    }

    // MARK: Losses

    @Test func `I5 a sandbox with the pool's labels that is in no book is given to nobody`() async throws {
        let world = World.pooled(1, recovered: false)
        let key = LeaseKey(warm: CreationToken("t"), template: "base")
        let labels = SandboxLabels(key: key, token: CreationToken("t"), environment: "default", epoch: Epoch(1))
        let stray = world.provider.plant(
            CreateRequest(template: "base", metadata: [:], environment: [:], life: .seconds(800), labels: labels)
        )
        #expect(await world.manager.takeOverEverything())
        #expect(world.store.usage() == StoreUsage() && world.provider.live[stray] != nil)
        #expect(try await world.manager.acquire(try SandboxCoreTests.key()).sandbox.id != stray)
    }

    @Test func `I5 a stored lease of a sandbox from another creation of the pool is a mismatch`() async throws {
        let world = World.pooled(1)
        await world.fill()
        let member = try #require(world.provider.live.values.first)
        var record = LeaseRecord(
            key: try key(),
            epoch: Epoch(1),
            token: CreationToken("another"),
            sandbox: member.sandbox,
            createdAt: world.time.wallNow(),
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
        record.sandbox.remainingLife = .seconds(500)
        _ = try await world.store.adopt(record)
        _ = try await world.manager.acquire(try key(), .custom)
        #expect(world.observer.record.ownershipMismatches == 1)
    }
}
