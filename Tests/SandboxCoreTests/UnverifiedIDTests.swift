import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// Ids that an earlier manager noted for a key: the provider says whose they are.
@Suite(.timeLimit(.minutes(1)))
struct UnverifiedIDTests {
    private func order(
        _ key: LeaseKey,
        metadata: [String: String] = [:],
        environment: String = "default"
    ) -> CreateRequest {
        CreateRequest(
            template: "base",
            metadata: metadata,
            environment: [:],
            life: .seconds(800),
            labels: SandboxLabels(key: key, token: CreationToken("old"), environment: environment, epoch: Epoch(3))
        )
    }

    private func metadata(_ user: String, _ project: String) -> [String: String] {
        ["user_id": user, "project_id": project]
    }

    @Test(arguments: [("mallory", "p1"), ("alice", "p2")])
    func `S2: a noted sandbox whose metadata names another user or project is not adopted`(
        user: String,
        project: String
    ) async throws {
        let fleet = try await Fleet(1)
        let noted = fleet.provider.plantUnlabelled(order(try key(), metadata: metadata(user, project)))
        fleet.server.note(noted, for: try key())
        let grant = try await fleet.a.manager.acquire(try key())
        #expect(grant.source == .created && grant.sandbox.id != noted)
        #expect(fleet.a.observer.record.ownershipMismatches == 1)
        #expect(fleet.provider.live[noted] != nil, "it is not ours to kill")
    }

    @Test func `S2: a noted sandbox without any metadata is nobody's`() async throws {
        let fleet = try await Fleet(1)
        let noted = fleet.provider.plantUnlabelled(order(try key()))
        fleet.server.note(noted, for: try key())
        #expect(try await fleet.a.manager.acquire(try key()).source == .created)
        #expect(fleet.a.observer.record.ownershipMismatches == 1)
    }

    @Test func `S2, I5: labels of another environment are another owner's`() async throws {
        let fleet = try await Fleet(1)
        let noted = fleet.provider.plant(order(try key(), environment: "staging"))
        fleet.server.note(noted, for: try key())
        #expect(try await fleet.a.manager.acquire(try key()).source == .created)
        #expect(fleet.a.observer.record.ownershipMismatches == 1)
    }

    @Test(arguments: [("mallory", "p1"), ("alice", "p2")])
    func `S2: a release does not touch a noted sandbox of another user or project`(
        user: String,
        project: String
    ) async throws {
        let fleet = try await Fleet(1)
        let noted = fleet.provider.plantUnlabelled(order(try key(), metadata: metadata(user, project)))
        fleet.server.note(noted, for: try key())
        #expect(try await fleet.a.manager.release(try key()) == .released)
        #expect(fleet.provider.live[noted] != nil && fleet.a.observer.record.ownershipMismatches == 1)
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `L2: a noted sandbox of the key is claimed and takes a slot`() async throws {
        let fleet = try await Fleet(1) { $0.limits = SlotLimits(perUser: 1, total: 9) }
        let noted = fleet.provider.plantUnlabelled(order(try key(), metadata: metadata("alice", "p1")))
        fleet.server.note(noted, for: try key())
        let grant = try await fleet.a.manager.acquire(try key())
        #expect(grant.sandbox.id == noted && grant.source == .reconnected)
        #expect(fleet.server.books.usage().slots == 1 && fleet.server.books.usage().active == 1)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else {
            Issue.record("not in the books")
            return
        }
        #expect(record.epoch == grant.epoch)
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key("alice", "p2")) }
        #expect(fleet.provider.count(of: .create) == 0)
    }

    @Test func `L2: a noted sandbox is not claimed above the limit, but it can be released`() async throws {
        let fleet = try await Fleet(1) { $0.limits = SlotLimits(perUser: 1, total: 9) }
        _ = try await fleet.a.manager.acquire(try key("alice", "p2"))
        let noted = fleet.provider.plantUnlabelled(order(try key(), metadata: metadata("alice", "p1")))
        fleet.server.note(noted, for: try key())
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key()) }
        #expect(fleet.provider.live[noted] != nil && fleet.server.books.usage().slots == 1)
        #expect(try await fleet.a.manager.release(try key()) == .released)
        #expect(fleet.provider.live[noted] == nil)
        #expect(fleet.server.books.usage().slots == 1)
    }

    @Test func `a noted sandbox that is gone is made anew`() async throws {
        let fleet = try await Fleet(1)
        fleet.server.note(SandboxID("gone"), for: try key())
        #expect(try await fleet.a.manager.acquire(try key()).source == .created)
        #expect(fleet.a.observer.record.ownershipMismatches == 0)
    }
}
