import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1)))
struct RecoveryTests {
    private func order(_ key: LeaseKey, epoch: Int64, token: String, environment: String = "default") -> CreateRequest {
        CreateRequest(
            template: "base",
            metadata: [:],
            environment: [:],
            life: .seconds(800),
            labels: SandboxLabels(
                key: key,
                token: CreationToken(token),
                environment: environment,
                epoch: Epoch(epoch)
            )
        )
    }

    @Test func `O9 I3 I10: what ran before the process is leased again, not made again`() async throws {
        let world = World(recovered: false)
        let key = try key()
        let old = world.provider.plant(order(key, epoch: 7, token: "before"))
        let grant = try await world.manager.acquire(key)
        #expect(grant.sandbox.id == old)
        #expect(grant.source == .reconnected)
        #expect(grant.epoch > Epoch(7))
        #expect(world.provider.count(of: .create) == 0)
    }

    @Test func `I1 I10: books are not complete while somebody works on a key and may fail to look at the provider`()
        async throws
    {
        let world = World(recovered: false)
        let key = try key()
        let old = world.provider.plant(order(key, epoch: 7, token: "before"))
        world.provider.hold(.list)
        let first = world.acquiring(key)
        let look = try #require(await world.provider.nextHeld(.list))
        world.provider.unhold(.list)
        #expect(await !world.manager.takeOverEverything())
        look.resume(.fail(Failures.reset(.list)))
        _ = await first.value
        #expect(try await world.manager.acquire(key).sandbox.id == old)
        #expect(world.provider.count(of: .create) == 0)
        #expect(await world.manager.takeOverEverything())
    }

    @Test func `I2: a sandbox taken over takes its slot`() async throws {
        let world = World(recovered: false) {
            $0.limits = SlotLimits(perUser: 1, total: 5)
        }
        _ = world.provider.plant(order(try key("alice", "p1"), epoch: 7, token: "before"))
        _ = try await world.manager.acquire(try key("alice", "p1"))
        let second = try key("alice", "p2")
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(second) }
        #expect(world.provider.count(of: .create) == 0)
    }

    @Test func `I2: after a start a stranger waits until it is known what runs, and is then refused`() async throws {
        let world = World(recovered: false) {
            $0.limits = SlotLimits(perUser: 2, total: 1)
            $0.listingWait = .seconds(5)
        }
        world.provider.plant(order(try key("alice"), epoch: 7, token: "before"))
        let stranger = world.acquiring(try key("bob"))
        #expect(await eventually { world.provider.count(of: .list) == 1 })
        #expect(await world.manager.takeOverEverything())
        #expect(await world.passing(.milliseconds(20)) { stranger.isDone })
        let outcome = await stranger.value
        #expect(throws: ManagerError.self) { try outcome.get() }
        #expect(world.provider.count(of: .create) == 0 && world.observer.record.limitRejections == [.total: 1])
    }

    @Test func `I9: where no listing comes, a creation goes on after a while`() async throws {
        let world = World(recovered: false) { $0.listingWait = .seconds(5) }
        let pending = world.acquiring(try key())
        #expect(await world.passing(.seconds(1)) { pending.isDone })
        #expect(try await pending.value.get().source == .created)
    }

    @Test func `the newest of several sandboxes is leased and the older ones die`() async throws {
        let world = World(recovered: false)
        let key = try key()
        let older = world.provider.plant(order(key, epoch: 7, token: "older"))
        let newer = world.provider.plant(order(key, epoch: 8, token: "newer"))
        #expect(try await world.manager.acquire(key).sandbox.id == newer)
        await world.manager.round(.outbox)
        #expect(try await world.provider.info(older, timeout: .seconds(1)) == nil)
        #expect(try await world.provider.info(newer, timeout: .seconds(1)) != nil)
    }

    @Test func `O9 I5: sandboxes of another environment are not touched`() async throws {
        let world = World(recovered: false)
        let key = try key()
        let foreign = world.provider.plant(order(key, epoch: 7, token: "x", environment: "staging"))
        let grant = try await world.manager.acquire(key)
        #expect(grant.source == .created)
        await world.manager.round(.outbox)
        #expect(try await world.provider.info(foreign, timeout: .seconds(1)) != nil)
    }

    @Test func `O4: a release finds what only the provider knows`() async throws {
        let world = World(recovered: false)
        let key = try key()
        let old = world.provider.plant(order(key, epoch: 7, token: "before"))
        #expect(try await world.manager.release(key) == .released)
        #expect(try await world.provider.info(old, timeout: .seconds(1)) == nil)
    }

    @Test func `nothing is created while the provider cannot say what runs`() async throws {
        let world = World(recovered: false)
        let key = try key()
        world.provider.always(.list, .fail(ProviderError(.list, .reset, "reset", effect: .none)))
        await #expect(throws: ManagerError.self) { try await world.manager.acquire(key) }
        #expect(world.provider.count(of: .create) == 0)
        #expect(world.manager.gauges().userLocks.held == 0)
    }

    @Test func `I5: what a listing for one key brings of another's is left alone`() async throws {
        let world = World(recovered: false)
        let mallory = try key("mallory")
        let foreign = world.provider.plant(order(mallory, epoch: 7, token: "before"))
        world.provider.ignoreListFilters(true)
        let grant = try await world.manager.acquire(try key())
        #expect(grant.source == .created && grant.sandbox.id != foreign)
        #expect(try await world.store.lookup(mallory) == nil, "its own key's request takes it over, under its own lock")
        #expect(world.provider.live[foreign] != nil && world.provider.count(of: .kill) == 0)
    }
}
