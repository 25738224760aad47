import Foundation
import HTTPServer
import HTTPTypes
import SandboxCore
import Testing

@testable import ControlAPI

@Suite(.timeLimit(.minutes(1))) struct FleetRoutesTests {
    private func filled() async throws -> APIFixture {
        let fixture = try APIFixture { $0.limits = SlotLimits(perUser: 10, total: 100) }
        for (user, project) in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("a+b", "1")] {
            #expect(await fixture.send(.put, "/v1/users/\(user)/projects/\(project)/sandbox").status == 201)
        }
        return fixture
    }

    private func keys(_ reply: Reply) throws -> [String] {
        let list = try #require(try reply.object["sandboxes"] as? [[String: Any]])
        return list.map { "\($0["user_id"] as? String ?? "?")/\($0["project_id"] as? String ?? "?")" }
    }

    @Test func `all leases are listed, without their access tokens`() async throws {
        let fixture = try await filled()
        let reply = await fixture.send(.get, "/v1/sandboxes")
        #expect(reply.status == 200)
        #expect(try keys(reply).sorted() == ["a+b/1", "a/1", "a/2", "a/3", "b/1"])
        #expect(!reply.text.contains("secret"))
        #expect(try reply.object["next_cursor"] is NSNull)
    }

    @Test func `a listing is filtered by user`() async throws {
        let fixture = try await filled()
        #expect(try keys(await fixture.send(.get, "/v1/sandboxes?user_id=b")) == ["b/1"])
        #expect(try keys(await fixture.send(.get, "/v1/sandboxes?user_id=a+b")) == ["a+b/1"])
        #expect(try keys(await fixture.send(.get, "/v1/sandboxes?user_id=a%2Bb")) == ["a+b/1"])
        #expect(try keys(await fixture.send(.get, "/v1/sandboxes?user_id=nobody")).isEmpty)
    }

    @Test(arguments: 1...6)
    func `the pages of a listing hold every lease once`(limit: Int) async throws {
        let fixture = try await filled()
        var seen: [String] = []
        var cursor: String?
        repeat {
            let query = "limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? "")
            let reply = await fixture.send(.get, "/v1/sandboxes?\(query)")
            let page = try keys(reply)
            #expect(page.count <= limit)
            seen += page
            cursor = reply["next_cursor"]
        } while cursor != nil && seen.count < 20
        #expect(seen.sorted() == ["a+b/1", "a/1", "a/2", "a/3", "b/1"])
    }

    @Test(arguments: ["limit=0", "limit=1001", "limit=-1", "limit=x", "user_id=a/b", "foo=1", "cursor=%zz"])
    func `a bad query is refused`(query: String) async throws {
        let reply = try await APIFixture().send(.get, "/v1/sandboxes?\(query)")
        #expect(reply.status == 400)
        #expect(reply["code"] == "invalid_argument")
    }

    @Test func `stats count what happened`() async throws {
        let fixture = try await filled()
        _ = await fixture.send(.put, "/v1/users/a/projects/1/sandbox")
        _ = await fixture.send(.delete, "/v1/users/b/projects/1/sandbox")
        let json = try await fixture.send(.get, "/v1/stats").object
        #expect(json["provider"] as? String == "simulated")
        #expect(json["store_mode"] as? String == "memory")
        #expect(json["requests"] as? Int == 6)
        #expect(json["created"] as? Int == 5)
        #expect(json["cleaned_up"] as? Int == 1)
        #expect(json["cache_hits"] as? Int == 1)
        #expect(json["active"] as? Int == 4)
        #expect(json["slots_in_use"] as? Int == 4)
        #expect(json["most_slots_of_one_user"] as? Int == 3)
        #expect(json["limit_per_user"] as? Int == 10)
        #expect(json["limit_total"] as? Int == 100)
        #expect(json["user_locks"] as? Int == 0)
        #expect(json["version"] as? String == "1")
        #expect(json["draining"] as? Bool == false && json["creations_stopped"] as? Bool == false)
        #expect(json["operations_in_flight"] as? Int == 0)
    }

    @Test func `stats hold the whole ledger, the upstreams and the loops`() async throws {
        let fixture = try await filled()
        fixture.provider.kills.close()
        async let released = fixture.send(.delete, "/v1/users/b/projects/1/sandbox")
        #expect(await poll { fixture.provider.kills.waiters == 1 })
        await fixture.manager.round(.reaper)
        let json = try await fixture.send(.get, "/v1/stats").object
        let ledger = try #require(json["ledger"] as? [String: Any])
        #expect(ledger["leased"] as? Int == 4 && ledger["killing"] as? Int == 1)
        for name in ["creating", "paused", "warm"] { #expect(ledger[name] as? Int == 0, "\(name)") }
        #expect((json["breakers"] as? [String: String]) == ["provider": "closed", "store": "closed"])
        #expect((json["locks"] as? [String: Any])?["held"] as? Int == 0)
        #expect((json["provider_last_listing"] as? [String: Int])?["running"] == 0)
        #expect((json["drift"] as? [String: Int])?.count == 3)
        let loops = try #require(json["loops"] as? [[String: Any]])
        let successes = loops.filter { $0["last_success"] is String }.compactMap { $0["loop"] as? String }
        #expect(successes == ["reaper"] && loops.count >= 3)
        fixture.provider.kills.open()
        #expect(await released.status == 204)
    }

    @Test func `explain tells a key's story, without access tokens`() async throws {
        let fixture = try await filled()
        let reply = await fixture.send(.get, "/v1/explain/a/1")
        #expect(reply.status == 200)
        let json = try reply.object
        #expect(json["locked"] as? Bool == false)
        #expect(json["in_memory"] as? Bool == true)
        #expect((json["lease"] as? [String: Any])?["user_id"] as? String == "a")
        #expect((json["events"] as? [[String: Any]])?.isEmpty == false)
        #expect(!reply.text.contains("secret"))
        let nothing = try await fixture.send(.get, "/v1/explain/nobody/1").object
        #expect(nothing["lease"] is NSNull)
        #expect((nothing["events"] as? [[String: Any]])?.isEmpty == true)
        #expect((json["summary"] as? [String])?.first?.hasPrefix("The key holds sandbox ") == true)
        #expect((nothing["summary"] as? [String])?.first == "Nobody holds a lease for this key.")
        #expect(json["lock"] is NSNull && json["probe"] is NSNull)
        #expect((json["slots"] as? [String: Int])?["user_in_use"] == 3)
    }

    @Test func `explain shows a creation that is under way`() async throws {
        let fixture = try APIFixture()
        fixture.provider.creates.close()
        async let created = fixture.send(.put, APIFixture.sandbox)
        #expect(await poll { fixture.provider.creates.waiters == 1 })
        let json = try await fixture.send(.get, "/v1/explain/u/p").object
        #expect(json["locked"] as? Bool == true)
        #expect((json["reservation"] as? [String: Any])?["owner"] as? String == "manager")
        #expect((json["lock"] as? [String: Any])?["operation"] as? String == "acquire")
        #expect((json["intents"] as? [[String: Any]])?.first?["holds_key"] as? Bool == true)
        fixture.provider.creates.open()
        #expect(await created.status == 201)
    }
}
