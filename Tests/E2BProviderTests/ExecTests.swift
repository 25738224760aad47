import FakeE2B
import SandboxCore
import Testing

@testable import E2BProvider

@Suite(.timeLimit(.minutes(1)))
struct ExecTests {
    private func run(
        _ command: [String],
        in fixture: Fixture,
        timeout: Duration = .seconds(5),
        outputLimit: Int = 1 << 20
    ) async throws -> ExecResult {
        let sandbox = try await fixture.create()
        let request = ExecRequest(command: command, timeout: timeout, outputLimit: outputLimit)
        return try await fixture.provider.exec(sandbox, request)
    }

    @Test func `output, errors and exit code come back`() async throws {
        let fixture = try Fixture()
        let result = try await run(["sh", "-c", "echo out; echo err >&2; exit 3"], in: fixture)
        #expect(result.standardOutput == Array("out\n".utf8))
        #expect(result.standardError == Array("err\n".utf8))
        #expect(result.exitCode == 3)
        #expect(!result.truncated)
        let request = try #require(fixture.requests("start").first)
        #expect(request.headers["connect-timeout-ms"] == "5000")
        #expect(request.headers["x-access-token"] == "***")
        #expect(request.headers["x-api-key"] == nil)
    }

    @Test func `zero is what the agent leaves out`() async throws {
        #expect(try await run(["true"], in: try Fixture()).exitCode == 0)
    }

    @Test func `a signal has a number and no exit code`() async throws {
        let result = try await run(["sh", "-c", "kill -KILL $$"], in: try Fixture())
        #expect(result.signal == 9)
        #expect(result.exitCode == nil)
    }

    @Test func `output beyond the limit is cut and said to be`() async throws {
        let result = try await run(["head", "-c", "100000", "/dev/zero"], in: try Fixture(), outputLimit: 70_000)
        #expect(result.standardOutput.count == 70_000)
        #expect(result.truncated)
    }

    @Test func `a reply beyond all bounds is an error, not a memory problem`() async throws {
        let fixture = try Fixture { $0.maxExecReplyBytes = 10_000 }
        let sandbox = try await fixture.create()
        let request = ExecRequest(command: ["head", "-c", "100000", "/dev/zero"], timeout: soon)
        let error = await failure { () async throws(ProviderError) in try await fixture.provider.exec(sandbox, request)
        }
        #expect(error?.kind == .malformed)
    }

    @Test func `the agent ends a command at its limit, and what it printed is kept`() async throws {
        let start = ContinuousClock.now
        let command = ["sh", "-c", "echo early; sleep 30"]
        let result = try await run(command, in: try Fixture(), timeout: .milliseconds(300))
        #expect(result.timedOut)
        #expect(result.exitCode == nil)
        #expect(result.standardOutput == Array("early\n".utf8))
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func `an agent that says nothing is a timeout of ours`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.setAgent("hung", of: sandbox.id.rawValue)
        let request = ExecRequest(command: ["true"], timeout: .milliseconds(100))
        let error = await failure { () async throws(ProviderError) in try await fixture.provider.exec(sandbox, request)
        }
        guard case .timedOut = error?.kind else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `standard input is unsupported, and nothing is sent`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        let request = ExecRequest(command: ["cat"], standardInput: [65], timeout: soon)
        let error = await failure { () async throws(ProviderError) in try await fixture.provider.exec(sandbox, request)
        }
        #expect(error?.kind == .unsupported)
        #expect(fixture.requests("start").isEmpty)
    }

    @Test func `gone and paused are told apart, on the control plane's word`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        let request = ExecRequest(command: ["true"], timeout: soon)
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        let paused = await failure { () async throws(ProviderError) in
            try await fixture.provider.exec(sandbox, request)
        }
        #expect(paused?.kind == .http(status: 409))
        fixture.fake.vanish(sandbox.id.rawValue)
        let gone = await failure { () async throws(ProviderError) in try await fixture.provider.exec(sandbox, request) }
        #expect(gone?.kind == .gone)
    }

    @Test func `a wrong token, an unknown program and rubbish are typed errors`() async throws {
        let fixture = try Fixture()
        var sandbox = try await fixture.create()
        let unknown = ExecRequest(command: ["no-such-program"], timeout: soon)
        let missing = await failure { () async throws(ProviderError) in
            try await fixture.provider.exec(sandbox, unknown)
        }
        #expect(missing?.kind == .http(status: 400))
        let request = ExecRequest(command: ["true"], timeout: soon)
        for rubbish in ["{}", "\u{0}\u{0}\u{0}\u{0}\u{9}{}", "\u{1}\u{0}\u{0}\u{0}\u{0}"] {
            fixture.fake.inject(FakeFault("start", .malformed, text: rubbish))
            let malformed = await failure { () async throws(ProviderError) in
                try await fixture.provider.exec(sandbox, request)
            }
            #expect(malformed?.kind == .malformed)
        }
        sandbox.envdAccessToken = Secret("wrong-token")
        let refused = await failure { () async throws(ProviderError) in
            try await fixture.provider.exec(sandbox, request)
        }
        #expect(refused?.kind == .http(status: 401))
    }
}
