import FakeE2B
import SandboxCore
import Testing

@testable import E2BProvider

@Suite(.timeLimit(.minutes(1)))
struct HealthTests {
    @Test func `C5 C34 204 is alive, and both routing headers go along`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        #expect(await fixture.provider.health(sandbox, timeout: soon) == .alive)
        let request = try #require(fixture.requests("health").first)
        #expect(request.headers["e2b-sandbox-id"] == sandbox.id.rawValue)
        #expect(request.headers["e2b-sandbox-port"] == "49983")
        // The key is the control plane's, not the edge's.
        #expect(request.headers["x-api-key"] == nil)
    }

    @Test func `C35 not found at the edge is settled by the control plane`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        #expect(await fixture.provider.health(sandbox, timeout: soon) == .paused)
        #expect(fixture.fake.sandboxes.map(\.state) == ["paused"])
        _ = try await fixture.provider.kill(sandbox.id, timeout: soon)
        #expect(await fixture.provider.health(sandbox, timeout: soon) == .gone)
    }

    @Test func `C35 not found at the edge while the control plane says running is no death`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        let text = #"{"sandboxId":"x","message":"The sandbox was not found","code":502}"#
        fixture.fake.inject(FakeFault("health", .status, status: 502, text: text, times: 0))
        guard case .unreachable = await fixture.provider.health(sandbox, timeout: soon) else {
            Issue.record("not unreachable")
            return
        }
        fixture.fake.inject(FakeFault("get", .status, status: 500))
        guard case .unreachable = await fixture.provider.health(sandbox, timeout: soon) else {
            Issue.record("a failed GET settled something")
            return
        }
        fixture.fake.inject(FakeFault("get", .status, status: 404, text: "not the API"))
        #expect(await fixture.provider.health(sandbox, timeout: soon) != .gone)
    }

    @Test func `C34 S36 a closed port is ill, a text 502 is unknown, a hang times out`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.setAgent("closed", of: sandbox.id.rawValue)
        guard case .unhealthy = await fixture.provider.health(sandbox, timeout: soon) else {
            Issue.record("not unhealthy")
            return
        }
        fixture.fake.setAgent("unrouted", of: sandbox.id.rawValue)
        guard case .unreachable = await fixture.provider.health(sandbox, timeout: soon) else {
            Issue.record("not unreachable")
            return
        }
        fixture.fake.setAgent("hung", of: sandbox.id.rawValue)
        let limit = Duration.milliseconds(200)
        #expect(await fixture.provider.health(sandbox, timeout: limit) == .timedOut(after: limit))
        fixture.fake.setAgent("open", of: sandbox.id.rawValue)
        #expect(await fixture.provider.health(sandbox, timeout: soon) == .alive)
    }

    @Test func `C34 a refused connection is unreachable`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        try fixture.fake.setPort("edge", isOpen: false)
        guard case .unreachable = await fixture.provider.health(sandbox, timeout: soon) else {
            Issue.record("not unreachable")
            return
        }
        try fixture.fake.setPort("edge", isOpen: true)
        #expect(await fixture.provider.health(sandbox, timeout: soon) == .alive)
    }

    @Test(arguments: [
        (401, HealthVerdict.unauthorized), (403, .unauthorized), (409, .unreachable("409 of the edge")),
        (429, .unreachable("429 of the edge")), (500, .unreachable("500 of the edge")),
        (503, .unreachable("503 of the edge")), (504, .unreachable("504 of the edge")),
        (404, .malformed("404 instead of 204")), (400, .malformed("400 instead of 204")),
        (200, .malformed("200 instead of 204")),
    ])
    func `C34 every other status has a verdict, and none is death`(status: Int, verdict: HealthVerdict) async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("health", .status, status: status))
        #expect(await fixture.provider.health(sandbox, timeout: soon) == verdict)
    }

    @Test func `C4 addresses follow the domain, the reply's before the configured`() {
        var configuration = E2BConfiguration(apiKey: Secret("e2b_00"))
        var sandbox = ProviderSandbox(id: SandboxID("iabc"), template: "t", remainingLife: .zero)
        #expect(Addresses(configuration).api == "https://api.e2b.app")
        #expect(Addresses(configuration).agent(of: sandbox) == "https://49983-iabc.e2b.app")
        configuration.domain = "example.org"
        #expect(Addresses(configuration).api == "https://api.example.org")
        #expect(Addresses(configuration).agent(of: sandbox) == "https://49983-iabc.example.org")
        sandbox.domain = "eu.example.net"
        #expect(Addresses(configuration).agent(of: sandbox) == "https://49983-iabc.eu.example.net")
        sandbox.domain = "evil.example/path?"
        #expect(Addresses(configuration).agent(of: sandbox) == "https://49983-iabc.example.org")
    }

    @Test func `C3 given addresses win over derived ones`() {
        var configuration = E2BConfiguration(apiKey: Secret("e2b_00"))
        configuration.domain = "example.org"
        configuration.apiURL = "http://127.0.0.1:1/"
        configuration.sandboxURL = "http://127.0.0.1:2"
        let sandbox = ProviderSandbox(
            id: SandboxID("iabc"),
            template: "t",
            domain: "example.net",
            remainingLife: .zero
        )
        #expect(Addresses(configuration).api == "http://127.0.0.1:1")
        #expect(Addresses(configuration).agent(of: sandbox) == "http://127.0.0.1:2")
    }
}
