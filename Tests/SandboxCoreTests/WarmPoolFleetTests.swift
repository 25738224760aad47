import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct WarmPoolFleetTests {
    private func fleet(_ target: Int, policy: FailoverLeaseStore.OutagePolicy = .degrade(replicas: 1)) async throws
        -> Fleet
    {
        try await Fleet(policy: policy) {
            $0.warmPool.target = target
            $0.warmPool.perSecond = 100
        }
    }

    private func fill(_ fleet: Fleet, _ replica: Fleet.Replica) async {
        await replica.manager.round(.poolFiller)
        #expect(await fleet.spawner.idle())
    }

    @Test func `any replica gives what another has made, and the lease is one for all`() async throws {
        let fleet = try await fleet(1)
        await fill(fleet, fleet.a)
        let grant = try await fleet.b.manager.acquire(try key())
        #expect(grant.source == .warmPool && fleet.provider.count(of: .create) == 1)
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == grant.sandbox.id)
    }

    @Test func `I5 I10 a claimed lease survives the loss of the store, and the pool's other members are nobody's`()
        async throws
    {
        let fleet = try await fleet(2)
        await fill(fleet, fleet.a)
        let grant = try await fleet.a.manager.acquire(try key())
        let stray = try #require(fleet.provider.live.keys.first { $0 != grant.sandbox.id })
        fleet.server.lose()
        await fleet.b.store.beat()
        await fleet.a.store.beat()
        #expect(await fleet.b.manager.takeOverEverything())
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == grant.sandbox.id)
        let others = [try key("bob"), try key("carol")]
        for other in others {
            let id = try await fleet.b.manager.acquire(other).sandbox.id
            #expect(id != grant.sandbox.id && id != stray)
        }
    }

    @Test func `alone, a replica neither fills the pool nor takes from it`() async throws {
        let fleet = try await fleet(2)
        await fill(fleet, fleet.a)
        await fleet.cut(fleet.a)
        #expect(try await fleet.a.manager.acquire(try key()).source == .created)
        await fill(fleet, fleet.a)
        #expect(fleet.provider.count(of: .create) == 3)
        #expect(fleet.a.observer.record.warmPoolClaims.isEmpty)
        let request = ReservationRequest(
            key: LeaseKey(warm: CreationToken("t"), template: "base"),
            owner: "x",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 9, total: 9),
            intentDeadline: .seconds(100)
        )
        guard case .limited = try await fleet.a.store.reserve(request) else {
            Issue.record("the pool got a slot of books that nobody shares")
            return
        }
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().warm == 2)
    }

    @Test(arguments: [FailoverLeaseStore.OutagePolicy.degrade(replicas: 1), .refuse])
    func `I3 I5 a member whose commit may have been lost takes its slot, and goes to nobody else`(
        policy: FailoverLeaseStore.OutagePolicy
    ) async throws {
        let fleet = try await fleet(1, policy: policy)
        fleet.provider.hold(.create)
        await fleet.a.manager.round(.poolFiller)
        let create = await fleet.provider.nextHeld(.create)
        fleet.provider.unhold(.create)
        // The commit arrives, its answer does not; another replica gives the member away meanwhile.
        fleet.a.connection.fail(.repliesLost)
        create?.resume()
        #expect(await fleet.spawner.idle())
        let grant = try await fleet.b.manager.acquire(try key())
        #expect(grant.source == .warmPool)
        await fleet.mend(fleet.a)
        await fleet.a.manager.round(.outbox)
        await fleet.b.manager.round(.outbox)
        #expect(await fleet.spawner.idle())
        #expect(fleet.provider.live[grant.sandbox.id] != nil, "it is somebody's")
        #expect(fleet.server.books.usage().slots == 1 && fleet.server.books.usage().active == 1)
        #expect(try await fleet.a.manager.acquire(try key("bob")).sandbox.id != grant.sandbox.id)
    }

    @Test func `I3 a member that was made while the store was away is in its books afterwards, for nobody`()
        async throws
    {
        let fleet = try await fleet(1)
        fleet.provider.hold(.create)
        await fleet.a.manager.round(.poolFiller)
        let create = await fleet.provider.nextHeld(.create)
        fleet.provider.unhold(.create)
        await fleet.cut(fleet.a)
        create?.resume()
        #expect(await fleet.spawner.idle())
        await fleet.mend(fleet.a)
        let usage = fleet.server.books.usage()
        #expect(usage.slots == 1 && usage.warm == 0 && usage.intents == 0, "\(usage)")
        #expect(try await fleet.b.manager.acquire(try key()).source == .created)
        fleet.time.advance(by: .seconds(811))
        await fleet.b.manager.round(.reaper)
        #expect(await fleet.spawner.idle())
        #expect(fleet.b.observer.record.sandboxesKilled[.warmExpired] == 1)
    }
}
