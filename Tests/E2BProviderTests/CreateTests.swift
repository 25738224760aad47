import E2BProvider
import FakeE2B
import SandboxCore
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CreateTests {
    @Test(arguments: E2BConfiguration.APIVersion.allCases)
    func `C6 C29 T8 a create sends its life, its labels and no auto-pause`(
        version: E2BConfiguration.APIVersion
    ) async throws {
        let fixture = try Fixture(version)
        let token = CreationToken("0123456789abcdef0123456789abcdef")
        let sandbox = try await fixture.provider.create(
            try .sample(user: "ann@x", project: "p+1", token: token),
            timeout: soon
        )
        let request = try #require(fixture.requests("create").first)
        let body = try #require(request.body)
        #expect(request.target == (version == .v2 ? "/v2/sandboxes" : "/sandboxes"))
        #expect(request.headers["idempotency-key"] == (version == .v2 ? token.rawValue : nil))
        #expect(body["timeout"]?.int == 120)
        #expect(body["autoPause"]?.flag == false)
        #expect(body["secure"]?.flag == (version == .v2 ? nil : true))
        let metadata = try #require(body["metadata"]?.texts)
        #expect(metadata["user_id"] == "ann@x")
        #expect(metadata["project_id"] == "p+1")
        #expect(metadata["sandbox_manager_token"] == token.rawValue)
        #expect(metadata["sandbox_manager_environment"] == "test")
        #expect(metadata["sandbox_manager_epoch"] == "7")
        let digest = try #require(metadata["sandbox_manager_key"])
        #expect(digest.utf8.count == 64)
        #expect(digest.allSatisfy { $0.isHexDigit })
        #expect(sandbox.envdAccessToken != nil)
        #expect(fixture.fake.sandboxes.map(\.autoPause) == [false])
    }

    @Test func `C11 the remaining life of a create is a lower bound of the server's`() async throws {
        let fixture = try Fixture()
        fixture.fake.inject(FakeFault("create", .latency, milliseconds: 300))
        let sandbox = try await fixture.create()
        #expect(sandbox.remainingLife <= .milliseconds(119_700))
        #expect(sandbox.remainingLife > .seconds(110))
        let truth = try #require(fixture.fake.sandboxes.first).remainingSeconds
        #expect(sandbox.remainingLife.inSeconds <= truth + 0.3)
    }

    @Test func `C7 a life of nothing is refused here, and one beyond the plan is cut`() async throws {
        let fixture = try Fixture { $0.maxSession = .seconds(600) }
        let refused = await failure { () async throws(ProviderError) in try await fixture.create { $0.life = .zero } }
        #expect(refused?.effect == ProviderError.Effect.none)
        #expect(fixture.requests("create").isEmpty)
        _ = try await fixture.create { $0.life = .seconds(7200) }
        #expect(fixture.requests("create").first?.body?["timeout"]?.int == 600)
    }

    @Test func `a caller's metadata never overrides the labels`() async throws {
        let fixture = try Fixture()
        _ = try await fixture.create { $0.metadata = ["user_id": "bob", "colour": "red"] }
        let metadata = try #require(fixture.fake.sandboxes.first).metadata
        #expect(metadata["user_id"] == "u1")
        #expect(metadata["colour"] == "red")
    }

    @Test func `C10 unknown fields, nulls and missing extras do not matter`() async throws {
        let fixture = try Fixture()
        let text = #"""
            {"sandboxID":"iabc","domain":null,"envdAccessToken":null,"new":{"a":[1]},"trafficAccessToken":null}
            """#
        fixture.fake.inject(FakeFault("create", .status, status: 201, text: text))
        let sandbox = try await fixture.create()
        #expect(sandbox.id == SandboxID("iabc"))
        #expect(sandbox.template == "base")
        #expect(sandbox.envdAccessToken == nil)
    }

    @Test func `C28 S40 v2 repeats of one token make one sandbox`() async throws {
        let fixture = try Fixture(.v2)
        let order = try CreateRequest.sample()
        fixture.fake.inject(FakeFault("create", .status, afterEffect: true, status: 504))
        let first = await failure { () async throws(ProviderError) in
            try await fixture.provider.create(order, timeout: soon)
        }
        #expect(first?.effect == .unknown)
        let sandbox = try await fixture.provider.create(order, timeout: soon)
        #expect(fixture.fake.sandboxes.map(\.id) == [sandbox.id.rawValue])
    }

    struct Outcome: Sendable, CustomTestStringConvertible {
        var name: String
        var fault: FakeFault
        var effect: ProviderError.Effect
        var testDescription: String { name }
    }

    static let json = #"{"code":503,"message":"no room","error_code":"sandbox_capacity_unavailable"}"#
    static let plain = #"{"code":503,"message":"not now"}"#
    static let noNode = #"{"code":503,"message":"no node","error_code":"sandbox_no_compatible_node"}"#
    static let createFailed = #"{"code":500,"message":"three nodes failed","error_code":"sandbox_create_failed"}"#

    @Test(arguments: [
        Outcome(name: "reply lost", fault: .init("create", .drop, afterEffect: true), effect: .unknown),
        Outcome(name: "dropped", fault: .init("create", .drop), effect: .unknown),
        Outcome(name: "half a reply", fault: .init("create", .half), effect: .unknown),
        Outcome(name: "hang", fault: .init("create", .hang), effect: .unknown),
        Outcome(name: "504", fault: .init("create", .status, status: 504), effect: .unknown),
        Outcome(name: "502 as text", fault: .init("create", .status, status: 502, text: "bad"), effect: .unknown),
        Outcome(name: "503 as HTML", fault: .init("create", .status, status: 503, text: "<html>"), effect: .unknown),
        Outcome(name: "503 without why", fault: .init("create", .status, status: 503, text: plain), effect: .unknown),
        Outcome(name: "503 of no node", fault: .init("create", .status, status: 503, text: noNode), effect: .none),
        Outcome(name: "500", fault: .init("create", .status, status: 500), effect: .unknown),
        Outcome(name: "201 of nothing", fault: .init("create", .status, status: 201, text: "{}"), effect: .unknown),
        Outcome(name: "201 as HTML", fault: .init("create", .malformed), effect: .unknown),
        Outcome(name: "302", fault: .init("create", .status, status: 302), effect: .unknown),
        Outcome(name: "409", fault: .init("create", .status, status: 409), effect: .unknown),
        Outcome(name: "503", fault: .init("create", .status, status: 503, text: json), effect: .none),
        Outcome(name: "500 failed", fault: .init("create", .status, status: 500, text: createFailed), effect: .none),
        Outcome(name: "400", fault: .init("create", .status, status: 400), effect: .none),
        Outcome(name: "401", fault: .init("create", .status, status: 401), effect: .none),
        Outcome(name: "403", fault: .init("create", .status, status: 403), effect: .none),
        Outcome(name: "404", fault: .init("create", .status, status: 404), effect: .none),
        Outcome(name: "429", fault: .init("create", .status, status: 429), effect: .none),
    ])
    func `C28 a failed create says whether a sandbox may exist`(outcome: Outcome) async throws {
        let fixture = try Fixture()
        fixture.fake.inject(outcome.fault)
        let order = try CreateRequest.sample()
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.create(order, timeout: .milliseconds(500))
        }
        #expect(error?.effect == outcome.effect)
        #expect(error?.operation == .create)
    }

    @Test func `C28 refused connections and unknown hosts surely made nothing`() async throws {
        let fixture = try Fixture()
        try fixture.fake.setPort("api", isOpen: false)
        let refused = await failure { () async throws(ProviderError) in try await fixture.create() }
        #expect(refused?.kind == .refused)
        #expect(refused?.effect == ProviderError.Effect.none)
        let lost = try Fixture { $0.apiURL = "http://no-such-host.invalid" }
        let unknown = await failure { () async throws(ProviderError) in try await lost.create() }
        #expect(unknown?.kind == .dns)
        #expect(unknown?.effect == ProviderError.Effect.none)
    }

    @Test func `C31 both kinds of 429 are told apart, and Retry-After is passed on`() async throws {
        var cloud = FakeE2BConfiguration()
        cloud.concurrencyLimit = 0
        let full = try Fixture(cloud: cloud)
        let concurrency = await failure { () async throws(ProviderError) in try await full.create() }
        #expect(concurrency?.kind == .concurrencyLimit)
        #expect(concurrency?.retryAfter == nil)
        #expect(concurrency?.isRetryable == false)
        cloud.concurrencyLimit = 10
        cloud.rateLimit = (burst: 1, perSecond: 0.25)
        let limited = try Fixture(cloud: cloud)
        _ = try await limited.create()
        let rate = await failure { () async throws(ProviderError) in try await limited.create() }
        #expect(rate?.kind == .rateLimited)
        #expect(rate?.retryAfter == .seconds(4))
        #expect(rate?.isRetryable == true)
    }

    @Test(arguments: [400, 401, 403, 404])
    func `C32 T5 what the client did wrong is not worth repeating`(status: Int) async throws {
        let fixture = try Fixture()
        fixture.fake.inject(FakeFault("create", .status, status: status))
        let error = await failure { () async throws(ProviderError) in try await fixture.create() }
        #expect(error?.kind == .http(status: status))
        #expect(error?.isRetryable == false)
    }

    @Test func `C39 T6 a create that hangs ends by its own limit`() async throws {
        let fixture = try Fixture()
        fixture.fake.inject(FakeFault("create", .hang))
        let order = try CreateRequest.sample()
        let start = ContinuousClock.now
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.create(order, timeout: .milliseconds(200))
        }
        #expect(error?.kind == .timedOut(after: .milliseconds(200)))
        #expect(ContinuousClock.now - start < .seconds(2))
    }
}
