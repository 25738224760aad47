import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// Books against provider, round by round.
@Suite(.timeLimit(.minutes(1)))
struct ReconcilerTests {
    private func order(
        _ key: LeaseKey,
        _ token: String,
        _ epoch: Int64 = 7,
        environment: String = "default"
    ) -> CreateRequest {
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

    /// A world whose key is leased, with a second sandbox of the key that is in no book.
    private func worldWithDouble(
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) async throws -> (World, leased: SandboxID, stray: SandboxID) {
        let world = World(configure)
        let leased = try await world.manager.acquire(try key()).sandbox.id
        return (world, leased, world.provider.plant(order(try key(), "double")))
    }

    @Test func `I3 O9: a sandbox in no book is leased to its owner again in the first round, and not made again`()
        async throws
    {
        let world = World()
        let found = world.provider.plant(order(try key(), "lost"))
        #expect(await world.manager.round(.reconciler) == .ok)
        #expect(world.observer.record.orphans == [.adopted: 1])
        let grant = try await world.manager.acquire(try key())
        #expect(grant.sandbox.id == found && grant.source == .reconnected)
        #expect(world.provider.count(of: .create) == 0)
        #expect(world.manager.gauges().usage.slots == 1)
        await world.expectQuiet()
    }

    @Test func `I3 O1: a second sandbox of a key is killed, but only after the grace`() async throws {
        let (world, leased, stray) = try await worldWithDouble()
        for _ in 0..<3 {
            #expect(await world.manager.round(.reconciler) == .ok)
            await world.manager.round(.outbox)
            #expect(world.provider.live[stray] != nil, "others may know what it is for")
            world.time.advance(by: .seconds(40))
        }
        await world.manager.round(.reconciler)
        await world.manager.round(.outbox)
        #expect(world.provider.live[stray] == nil && world.provider.live[leased] != nil)
        #expect(world.observer.record.orphans == [.killed: 1])
        #expect(world.observer.record.sandboxesKilled == [.orphan: 1])
        #expect(world.manager.gauges().usage.slots == 1, "it had no slot of its own")
    }

    @Test func `one round kills ten, and the next goes on`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 99, total: 99) }
        _ = try await world.manager.acquire(try key())
        for number in 0..<25 { world.provider.plant(order(try key(), "double\(number)")) }
        await world.manager.round(.reconciler)
        world.time.advance(by: .seconds(120))
        var left: [Int] = []
        for _ in 0..<3 {
            await world.manager.round(.reconciler)
            await world.manager.round(.outbox)
            left.append(world.provider.live.count)
        }
        #expect(left == [16, 6, 1])
    }

    @Test func `in mode observe nothing is put right, and each difference is counted once`() async throws {
        let (world, leased, stray) = try await worldWithDouble { $0.reconciler.mode = .observe }
        world.provider.plant(order(try key("bob"), "lost"))
        _ = try await world.manager.acquire(try key("carol"))
        for _ in 0..<3 {
            await world.manager.round(.reconciler)
            world.time.advance(by: .seconds(200))
        }
        #expect(world.observer.record.orphans == [.observed: 2])
        #expect(world.provider.live[stray] != nil && world.provider.live[leased] != nil)
        #expect(world.manager.gauges().usage.slots == 2 && world.manager.gauges().usage.outbox == 0)
        #expect(world.manager.gauges().drift.untrackedAtProvider == 2)
    }

    @Test func `I3 O9: another environment's sandboxes, and those without labels, are never touched`() async throws {
        let world = World()
        world.provider.plant(order(try key(), "foreign", environment: "staging"))
        world.provider.plantUnlabelled(order(try key("bob"), "bare"))
        for _ in 0..<3 {
            #expect(await world.manager.round(.reconciler) == .ok)
            await world.manager.round(.outbox)
            world.time.advance(by: .seconds(200))
        }
        #expect(world.provider.live.count == 2)
        #expect(world.provider.count(of: .kill) == 0)
        #expect(world.observer.record.orphans.isEmpty)
        #expect(world.manager.gauges().provider.running == 0)
    }

    @Test func `O1: a creation under way is no orphan, however long it takes`() async throws {
        let world = World { $0.requestDeadline = .seconds(1000) }
        world.provider.hold(.create)
        let pending = world.acquiring(try key())
        let call = try #require(await world.provider.nextHeld(.create))
        let token = try #require(call.call.order?.labels.token)
        let early = world.provider.plant(order(try key(), token.rawValue))
        for _ in 0..<2 {
            await world.manager.round(.reconciler)
            world.time.advance(by: .seconds(30))
        }
        #expect(world.provider.live[early] != nil && world.observer.record.orphans.isEmpty)
        call.resume(.fail(Failures.http(400)))
        _ = await pending.value
    }

    @Test func `I4: a lease whose sandbox is gone is forgotten on the provider's word, one merely unlisted is not`()
        async throws
    {
        let world = World()
        let gone = try await world.manager.acquire(try key("gone")).sandbox.id
        _ = try await world.manager.acquire(try key("unlisted"))
        world.time.advance(by: .seconds(1))
        world.provider.vanish(gone)
        world.provider.hideFromLists(true)
        #expect(await world.manager.round(.reconciler) == .ok)
        #expect(world.manager.gauges().usage.slots == 1)
        #expect(world.manager.gauges().drift.missingAtProvider == 2)
        #expect(world.observer.record.leasesEnded == [.gone: 1])
        world.provider.script(.info, .fail(Failures.reset(.info)))
        #expect(await world.manager.round(.reconciler) == .partial, "nobody could say whether it lives")
        #expect(world.manager.gauges().usage.slots == 1)
    }

    @Test func `I8: a listing that fails changes nothing, and the round has failed`() async throws {
        let (world, _, stray) = try await worldWithDouble()
        await world.manager.round(.reconciler)
        world.time.advance(by: .seconds(200))
        world.provider.script(.list, .fail(Failures.reset(.list)))
        #expect(await world.manager.round(.reconciler) == .failed)
        await world.manager.round(.outbox)
        #expect(world.provider.live[stray] != nil)
        #expect(world.manager.gauges().provider.running == 2, "what was seen last stays")
    }

    @Test func `two sandboxes of one creation: the leased one stays, the other dies after the grace`() async throws {
        let world = World()
        let grant = try await world.manager.acquire(try key())
        let token = try #require(world.provider.live[grant.sandbox.id]?.order.labels.token)
        let twin = world.provider.plant(order(try key(), token.rawValue))
        await world.manager.round(.reconciler)
        world.time.advance(by: .seconds(120))
        await world.manager.round(.reconciler)
        await world.manager.round(.outbox)
        #expect(world.provider.live[twin] == nil && world.provider.live[grant.sandbox.id] != nil)
    }

    @Test func `what was adopted a moment ago is not killed, and what died by itself is forgotten`() async throws {
        let (world, leased, stray) = try await worldWithDouble()
        await world.manager.round(.reconciler)
        #expect(world.manager.gauges().collections.first { $0.name == .orphans }?.entries == 1)
        _ = try await world.manager.release(try key())
        #expect(world.provider.live[leased] == nil)
        world.time.advance(by: .seconds(200))
        await world.manager.round(.reconciler)
        #expect(world.observer.record.orphans == [.adopted: 1], "the key is free: it is its lease again")
        await world.manager.round(.reconciler)
        await world.manager.round(.outbox)
        #expect(world.provider.live[stray] != nil)
        #expect(world.manager.gauges().collections.first { $0.name == .orphans }?.entries == 0)
    }

    @Test func `gauges tell what the provider runs and where the books differ`() async throws {
        let (world, _, _) = try await worldWithDouble()
        _ = try await world.manager.acquire(try key("bob"))
        _ = try await world.manager.pause(try key("bob"))
        await world.manager.round(.reconciler)
        let gauges = world.manager.gauges()
        #expect(gauges.provider.running == 2 && gauges.provider.paused == 1)
        #expect(gauges.drift.untrackedAtProvider == 1 && gauges.drift.missingAtProvider == 0)
        #expect(gauges.loopIntervals[.reconciler] == .seconds(300))
    }

    @Test func `the time that sandboxes ran is counted by what they ran for, and paused ones cost nothing`()
        async throws
    {
        let world = World { $0.limits = SlotLimits(perUser: 9, total: 9) }
        for user in ["busy", "idle", "dying", "paused"] { _ = try await world.manager.acquire(try key(user)) }
        _ = try await world.manager.pause(try key("paused"))
        world.provider.always(.kill, .fail(Failures.http(500, .kill)))
        world.provider.always(.info, .fail(Failures.http(500, .info)))
        _ = try await world.manager.release(try key("dying"))
        await world.manager.round(.reconciler)
        #expect(world.observer.record.sandboxSeconds.isEmpty, "nobody knows for how long")
        world.time.advance(by: .seconds(100))
        world.provider.always(.info, nil)
        _ = try await world.manager.keepalive(try key("busy"))
        await world.manager.round(.reconciler)
        #expect(world.observer.record.sandboxSeconds == [.leasedBusy: 100, .leasedIdle: 100, .killing: 100])
        world.time.advance(by: .seconds(10_000))
        await world.manager.round(.reconciler)
        #expect(world.observer.record.sandboxSeconds[.killing] == 700, "at most two intervals")
    }

    @Test func `I5: a sandbox of the pool that no book knows is nobody's, and dies after the grace`() async throws {
        let world = World { $0.warmPool.target = 1 }
        let token = CreationToken("warm")
        let stray = world.provider.plant(order(LeaseKey(warm: token, template: "base"), token.rawValue))
        await world.manager.round(.reconciler)
        #expect(world.manager.gauges().usage.slots == 0, "somebody may have used it")
        world.time.advance(by: .seconds(120))
        await world.manager.round(.reconciler)
        await world.manager.round(.outbox)
        #expect(world.provider.live[stray] == nil)
        #expect(world.observer.record.orphans == [.killed: 1])
    }

    @Test func `I4: a member of the pool that is gone is forgotten, and no lease has ended`() async throws {
        let world = World { $0.warmPool.target = 1 }
        await world.manager.round(.poolFiller)
        #expect(await eventually { world.manager.gauges().usage.warm == 1 })
        world.time.advance(by: .seconds(1))
        for sandbox in world.provider.live.keys { world.provider.vanish(sandbox) }
        await world.manager.round(.reconciler)
        #expect(world.manager.gauges().usage.warm == 0 && world.manager.gauges().usage.slots == 0)
        #expect(world.observer.record.leasesEnded.isEmpty)
    }

    // MARK: Fleets

    @Test func `of two replicas one puts right; a dead one is followed within two rounds`() async throws {
        let fleet = try await Fleet(2)
        _ = try await fleet.a.manager.acquire(try key())
        for number in 0..<30 { fleet.provider.plant(order(try key(), "double\(number)")) }
        for replica in fleet.replicas { await replica.manager.round(.reconciler) }
        fleet.time.advance(by: .seconds(150))
        for replica in fleet.replicas { await replica.manager.round(.reconciler) }
        #expect(fleet.a.observer.record.orphans == [.killed: 10])
        #expect(fleet.b.observer.record.orphans.isEmpty, "two would kill twice as many")
        #expect(fleet.b.manager.gauges().drift.untrackedAtProvider == 20, "but it looks")
        fleet.time.advance(by: .seconds(300))
        await fleet.b.manager.round(.reconciler)
        #expect(fleet.b.observer.record.orphans == [.killed: 10], "it watched all along: no new grace")
    }

    @Test func `I3: cut off from the store a replica puts nothing right`() async throws {
        let fleet = try await Fleet(2)
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.b)
        for _ in 0..<3 {
            #expect(await fleet.b.manager.round(.reconciler) == .ok)
            fleet.time.advance(by: .seconds(200))
        }
        #expect(fleet.b.observer.record.orphans.isEmpty)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `I10: after a loss of the store the grace begins anew`() async throws {
        let fleet = try await Fleet(1)
        _ = try await fleet.a.manager.acquire(try key())
        let stray = fleet.provider.plant(order(try key(), "double", 1))
        await fleet.a.manager.round(.reconciler)
        fleet.time.advance(by: .seconds(100))
        fleet.server.lose()
        await fleet.a.store.beat()
        #expect(await fleet.a.manager.takeOverEverything())
        fleet.time.advance(by: .seconds(100))
        await fleet.a.manager.round(.reconciler)
        await fleet.a.manager.round(.outbox)
        #expect(fleet.provider.live[stray] != nil)
        fleet.time.advance(by: .seconds(100))
        await fleet.a.manager.round(.reconciler)
        await fleet.a.manager.round(.outbox)
        #expect(fleet.provider.live[stray] == nil)
    }

    @Test func `I3 I5: another fleet's sandbox is left alone, even if the provider lists it as ours`() async throws {
        let world = World()
        let foreign = world.provider.plant(order(try key(), "foreign", environment: "staging"))
        world.provider.ignoreListFilters(true)
        for _ in 0..<3 {
            #expect(await world.manager.round(.reconciler) == .ok)
            await world.manager.round(.outbox)
            world.time.advance(by: .seconds(100))
        }
        #expect(world.provider.live[foreign] != nil && world.store.usage() == StoreUsage())
        #expect(world.observer.record.orphans.isEmpty)
    }
}
