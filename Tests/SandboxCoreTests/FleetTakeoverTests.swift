import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// What replicas find at the provider, in listings and under dead replicas' tokens.
@Suite(.timeLimit(.minutes(1)))
struct FleetTakeoverTests {
    private func order(_ key: LeaseKey, _ token: String, _ epoch: Epoch) -> CreateRequest {
        CreateRequest(
            template: "base",
            metadata: [:],
            environment: [:],
            life: .seconds(800),
            labels: SandboxLabels(key: key, token: CreationToken(token), environment: "default", epoch: epoch)
        )
    }

    /// A reservation whose owner is dead.
    private func reserveByTheDead(_ fleet: Fleet, _ key: LeaseKey) throws -> Epoch {
        let request = ReservationRequest(
            key: key,
            owner: "dead",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 9, total: 9),
            intentDeadline: .seconds(10)
        )
        guard case .reserved(let epoch) = fleet.server.books.reserve(request) else { throw StoreError("not reserved") }
        return epoch
    }

    @Test func `L3: of two sandboxes under a dead replica's token one becomes the lease and the other dies`()
        async throws
    {
        let fleet = try await Fleet(1)
        let epoch = try reserveByTheDead(fleet, try key())
        // The labels of a request that was repeated may be older than the reservation.
        let kept = fleet.provider.plant(order(try key(), "t", Epoch(1)))
        let surplus = fleet.provider.plant(order(try key(), "t", Epoch(1)))
        fleet.time.advance(by: .seconds(11))
        await fleet.a.manager.round(.outbox)
        await fleet.a.manager.round(.outbox)
        #expect(fleet.provider.live[kept] != nil && fleet.provider.live[surplus] == nil)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else { throw StoreError("no lease") }
        #expect(record.sandbox.id == kept && record.epoch == epoch)
    }

    @Test func `S2: a sandbox of another key under a dead replica's token is not leased`() async throws {
        let fleet = try await Fleet(1)
        _ = try reserveByTheDead(fleet, try key())
        let foreign = fleet.provider.plant(order(try key("mallory"), "t", Epoch(1)))
        fleet.time.advance(by: .seconds(11))
        await fleet.a.manager.round(.outbox)
        #expect(fleet.server.books.lookup(try key()) == nil)
        #expect(fleet.provider.live[foreign] != nil)
    }

    @Test func `I3: a listing is taken over without anybody asking for its keys`() async throws {
        let fleet = try await Fleet(1)
        let found = fleet.provider.plant(order(try key(), "before", Epoch(7)))
        #expect(await fleet.a.manager.takeOverEverything())
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else { throw StoreError("no lease") }
        #expect(record.sandbox.id == found)
    }

    @Test func `I4: a listing that fails is no empty one, and one that misses a sandbox does not end its lease`()
        async throws
    {
        let fleet = try await Fleet(1)
        _ = try await fleet.a.manager.acquire(try key())
        fleet.time.advance(by: .seconds(1))
        fleet.server.lose()
        await fleet.a.store.beat()
        fleet.provider.script(.list, .fail(Failures.reset(.list)))
        #expect(await !fleet.a.manager.takeOverEverything())
        fleet.provider.hideFromLists(true)
        fleet.provider.script(.info, .fail(Failures.reset(.info)))
        #expect(await !fleet.a.manager.takeOverEverything(), "nobody could say whether it lives")
        #expect(!fleet.a.store.isComplete)
        #expect(await fleet.a.manager.takeOverEverything())
        #expect(fleet.server.books.usage().active == 1)
    }
}
