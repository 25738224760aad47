import CurlTransport
import FakeE2B
import HTTPTypes
import SandboxCore
import Testing

@testable import E2BProvider

@Suite(.timeLimit(.minutes(1)))
struct ListingTests {
    @Test func `C24 O9 a listing has every page, running and paused`() async throws {
        let fixture = try Fixture()
        let order = try CreateRequest.sample()
        var made: Set<SandboxID> = []
        for _ in 0..<205 { made.insert(try await fixture.provider.create(order, timeout: soon).id) }
        let paused = try #require(made.first)
        try await fixture.provider.pause(paused, timeout: soon)
        let listed = try await fixture.provider.list(.environment("test"), timeout: .seconds(20))
        #expect(Set(listed.map(\.sandbox.id)) == made)
        #expect(listed.count == 205)
        #expect(listed.filter { $0.state == .paused }.map(\.sandbox.id) == [paused])
        #expect(fixture.requests("list").count == 3)
        #expect(fixture.requests("list").allSatisfy { $0.target.contains("limit=100&") || $0.target.hasSuffix("100") })
    }

    @Test func `C24 more pages than allowed, or pages in a circle, are errors and never a short answer`() async throws {
        let fixture = try Fixture { $0.maxPages = 1 }
        let order = try CreateRequest.sample()
        for _ in 0..<101 { _ = try await fixture.provider.create(order, timeout: soon) }
        let tooMany = await failure { () async throws(ProviderError) in
            try await fixture.provider.list(.environment("test"), timeout: soon)
        }
        #expect(tooMany?.kind == .malformed)
        let patient = try Fixture.provider(fixture.fake) { $0.maxPages = 1000 }
        let circle = FakeFault("list", .status, status: 200, text: "[]", headers: ["X-Next-Token": "again"], times: 0)
        fixture.fake.inject(circle)
        let endless = await failure { () async throws(ProviderError) in
            try await patient.list(.environment("test"), timeout: soon)
        }
        #expect(endless?.kind == .malformed)
        #expect(fixture.requests("list").count < 10)
    }

    @Test func `C24 an empty token is the end`() async throws {
        let fixture = try Fixture()
        fixture.fake.inject(FakeFault("list", .status, status: 200, text: "[]", headers: ["X-Next-Token": ""]))
        #expect(try await fixture.provider.list(.environment("test"), timeout: soon).isEmpty)
    }

    @Test func `C24 one page that fails fails the listing`() async throws {
        let fixture = try Fixture()
        let order = try CreateRequest.sample()
        for _ in 0..<101 { _ = try await fixture.provider.create(order, timeout: soon) }
        fixture.fake.inject(FakeFault("list", .latency))
        fixture.fake.inject(FakeFault("list", .malformed, text: #"[{"sandboxID":"i1"}]"#))
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.list(.environment("test"), timeout: soon)
        }
        #expect(error?.kind == .malformed)
    }

    @Test func `C26 the documented example is encoded as documented`() {
        #expect(MetadataFilter.encode([("project_id", "p 1&x")]) == "project_id%3Dp%2525201%252526x")
        #expect(MetadataFilter.encode([("a", "b"), ("c", "d")]) == "a%3Db%26c%3Dd")
    }

    @Test(arguments: ["p 1&x=%", "a+b", "%41", "ü€", "=", "&&", "x=y&z", "plain", "100%", "\"'<>"])
    func `C26 any value finds its sandbox through three layers of decoding`(value: String) async throws {
        let fixture = try Fixture()
        _ = try await fixture.create { $0.metadata = ["free": value] }
        _ = try await fixture.create { $0.metadata = ["free": "another"] }
        let filter = MetadataFilter.encode([("free", value)])
        let deadline = Deadline(soon, fixture.provider.time)
        let response = try await fixture.provider.api.send(.list, .get, "/v2/sandboxes?metadata=\(filter)", deadline)
        #expect(response.status == 200)
        #expect(try #require(JSON.decode([DetailReply].self, response.body)).map { $0.metadata?["free"] } == [value])
    }

    @Test(arguments: ["default", "local-box_1.x~", "a b&c=%", "grün", String(repeating: "x", count: 200)])
    func `C26 O9 environments with any name are kept apart`(environment: String) async throws {
        let fixture = try Fixture()
        let mine = try await fixture.create { $0.labels.environment = environment }
        _ = try await fixture.create { $0.labels.environment = environment + "2" }
        let listed = try await fixture.provider.list(.environment(environment), timeout: soon)
        #expect(listed.map(\.sandbox.id) == [mine.id])
        #expect(listed.first?.labels?.environment == environment)
        let plain = try #require(fixture.fake.sandboxes.first).metadata["sandbox_manager_environment"]
        #expect(plain?.utf8.allSatisfy(MetadataFilter.isUnreserved) == true)
    }

    @Test func `C29 a creation is found by its token`() async throws {
        let fixture = try Fixture()
        let order = try CreateRequest.sample()
        let sandbox = try await fixture.provider.create(order, timeout: soon)
        _ = try await fixture.create()
        let found = try await fixture.provider.list(.token(order.labels.token, environment: "test"), timeout: soon)
        #expect(found.map(\.sandbox.id) == [sandbox.id])
        #expect(found.first?.labels == order.labels)
        let elsewhere = try await fixture.provider.list(.token(order.labels.token, environment: "x"), timeout: soon)
        #expect(elsewhere.isEmpty)
    }

    @Test func `I5 owners are compared, not only digests`() async throws {
        let fixture = try Fixture()
        let key = try LeaseKey(user: "u1", project: "p1")
        let mine = try await fixture.create()
        // Somebody copied our metadata and changed the owner.
        var forged = LabelMetadata.metadata(of: try CreateRequest.sample().labels)
        forged["user_id"] = "mallory"
        let body: JSONValue = ["templateID": "base", "metadata": .object(forged.mapValues(JSONValue.text))]
        let deadline = Deadline(soon, fixture.provider.time)
        _ = try await fixture.provider.api.send(.create, .post, "/sandboxes", body: body.bytes, deadline)
        let found = try await fixture.provider.list(.key(key, environment: "test"), timeout: soon)
        #expect(found.map(\.sandbox.id) == [mine.id])
        let all = try await fixture.provider.list(.environment("test"), timeout: soon)
        #expect(all.count == 2)
        #expect(all.count { $0.labels == nil } == 1)
    }

    @Test func `S27 the API's own count of running ones`() async throws {
        let fixture = try Fixture()
        for _ in 0..<3 { _ = try await fixture.create() }
        let paused = try await fixture.create()
        try await fixture.provider.pause(paused.id, timeout: soon)
        #expect(try await fixture.provider.runningCount(.environment("test"), timeout: soon) == 3)
        #expect(fixture.requests("list").count == 1)
    }
}
