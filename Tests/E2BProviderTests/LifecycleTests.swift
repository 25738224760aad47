import E2BProvider
import FakeE2B
import SandboxCore
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LifecycleTests {
    @Test func `C1 C37 every call carries the key, Accept, and a User-Agent without browsers`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        _ = try await fixture.provider.info(sandbox.id, timeout: soon)
        _ = try await fixture.provider.list(.environment("test"), timeout: soon)
        _ = try await fixture.provider.extend(sandbox.id, life: .seconds(60), timeout: soon)
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        _ = try await fixture.provider.connect(sandbox.id, life: .seconds(60), timeout: soon)
        _ = try await fixture.provider.kill(sandbox.id, timeout: soon)
        #expect(Set(fixture.fake.journal.map(\.operation)).count == 7)
        for request in fixture.fake.journal {
            #expect(request.headers["x-api-key"] == "***")
            #expect(request.headers["accept"] == "application/json")
            let agent = try #require(request.headers["user-agent"]).lowercased()
            for word in ["mozilla", "chrome", "safari", "firefox", "edge", "opera", "msie"] {
                #expect(!agent.contains(word))
            }
        }
    }

    @Test func `info describes a sandbox, and nil is the API's own 404`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        let info = try #require(try await fixture.provider.info(sandbox.id, timeout: soon))
        #expect(info.sandbox.id == sandbox.id)
        #expect(info.sandbox.envdAccessToken == sandbox.envdAccessToken)
        #expect(info.state == .running)
        let owner = try LeaseKey(user: "u1", project: "p1")
        #expect(info.labels?.key == owner)
        #expect(info.labels?.epoch == Epoch(7))
        #expect(info.sandbox.remainingLife <= .seconds(120))
        #expect(info.sandbox.remainingLife > .seconds(110))
        #expect(try await fixture.provider.info(SandboxID("inosuch"), timeout: soon) == nil)
    }

    @Test func `C38 a 404 of a route that nobody knows is not gone`() async throws {
        let fixture = try Fixture()
        let text = #"{"code":404,"message":"no matching operation was found"}"#
        let html = "<html>404</html>"
        for body in [text, html] {
            for operation in ["get", "kill", "connect", "timeout", "pause"] {
                fixture.fake.inject(FakeFault(operation, .status, status: 404, text: body, times: 0))
            }
            let id = SandboxID("iabc")
            let provider = fixture.provider
            let errors = [
                await failure { () async throws(ProviderError) in try await provider.info(id, timeout: soon) },
                await failure { () async throws(ProviderError) in try await provider.kill(id, timeout: soon) },
                await failure { () async throws(ProviderError) in try await provider.pause(id, timeout: soon) },
                await failure { () async throws(ProviderError) in
                    try await provider.connect(id, life: soon, timeout: soon)
                },
                await failure { () async throws(ProviderError) in
                    try await provider.extend(id, life: soon, timeout: soon)
                },
            ]
            for error in errors { #expect(error?.kind == .http(status: 404)) }
            fixture.fake.clearFaults()
        }
    }

    @Test(arguments: ["", "../sandboxes", "a/b", "a?b", "a b", "é", String(repeating: "a", count: 200)])
    func `an id that is none of E2B's never reaches a URL`(id: String) async throws {
        let fixture = try Fixture()
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.kill(SandboxID(id), timeout: soon)
        }
        #expect(error?.kind == .http(status: 400))
        #expect(fixture.fake.journal.isEmpty)
    }

    // MARK: Connect

    @Test(arguments: E2BConfiguration.APIVersion.allCases)
    func `C13 C15 connect to a running one names a life, never shortens, and is no resume`(
        version: E2BConfiguration.APIVersion
    ) async throws {
        let fixture = try Fixture(version)
        let sandbox = try await fixture.create()
        let connected = try await fixture.provider.connect(sandbox.id, life: .seconds(30), timeout: soon)
        #expect(!connected.resumed)
        #expect(connected.sandbox.envdAccessToken == sandbox.envdAccessToken)
        #expect(connected.sandbox.remainingLife <= .seconds(30))
        let request = try #require(fixture.requests("connect").first)
        #expect(request.body?["timeout"]?.int == 30)
        #expect(request.target.hasPrefix(version == .v2 ? "/v2/" : "/sandboxes"))
        #expect(try #require(fixture.fake.sandboxes.first).remainingSeconds > 100)
    }

    @Test func `C14 T7 connect to a paused one resumes it for the life that was named`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        let connected = try await fixture.provider.connect(sandbox.id, life: .seconds(700), timeout: soon)
        #expect(connected.resumed)
        #expect(connected.sandbox.id == sandbox.id)
        #expect(connected.sandbox.remainingLife > .seconds(690))
        #expect(connected.sandbox.remainingLife <= .seconds(700))
    }

    @Test func `a resume that granted another caller's shorter life is extended`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        // As if another connect of 20 s had joined first: the API answers 201, with its own expiry.
        let other = try Fixture.provider(fixture.fake)
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        _ = try await other.connect(sandbox.id, life: .seconds(20), timeout: soon)
        let text = #"{"sandboxID":"\#(sandbox.id)","templateID":"base"}"#
        fixture.fake.inject(FakeFault("connect", .status, status: 201, text: text))
        let connected = try await fixture.provider.connect(sandbox.id, life: .seconds(300), timeout: soon)
        #expect(connected.sandbox.remainingLife > .seconds(290))
        #expect(try #require(fixture.fake.sandboxes.first).remainingSeconds > 290)
    }

    @Test func `C22 connect, extend and pause of what is gone say gone; kill counts as done`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        #expect(try await fixture.provider.kill(sandbox.id, timeout: soon) == .killed)
        #expect(try await fixture.provider.kill(sandbox.id, timeout: soon) == .alreadyGone)
        let (id, provider) = (sandbox.id, fixture.provider)
        let errors = [
            await failure { () async throws(ProviderError) in
                try await provider.connect(id, life: soon, timeout: soon)
            },
            await failure { () async throws(ProviderError) in try await provider.extend(id, life: soon, timeout: soon)
            },
            await failure { () async throws(ProviderError) in try await provider.pause(id, timeout: soon) },
        ]
        for error in errors { #expect(error?.kind == .gone) }
    }

    // MARK: Extend

    @Test func `extend moves the expiry, and says what was granted`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        let granted = try await fixture.provider.extend(sandbox.id, life: .seconds(900), timeout: soon)
        #expect(granted <= .seconds(900))
        #expect(granted > .seconds(890))
        #expect(try #require(fixture.fake.sandboxes.first).remainingSeconds >= granted.inSeconds - 0.01)
    }

    @Test func `C11 S16 extend believes no more than the plan's session, known or read back`() async throws {
        var cloud = FakeE2BConfiguration()
        cloud.tierSeconds = 1000
        let fixture = try Fixture(cloud: cloud) { $0.maxSession = .seconds(1000) }
        let sandbox = try await fixture.create()
        fixture.fake.advance(seconds: 100)
        // A provider that made it counts from the create; the fake's clock is 100 s ahead of what it knows.
        let stranger = try Fixture.provider(fixture.fake) { $0.maxSession = .seconds(1000) }
        let granted = try await stranger.extend(sandbox.id, life: .seconds(5000), timeout: soon)
        #expect(granted <= .seconds(900))
        #expect(granted > .seconds(890))
        #expect(try #require(fixture.fake.sandboxes.first).remainingSeconds >= granted.inSeconds - 0.1)
        // The start is remembered: no second GET.
        _ = try await stranger.extend(sandbox.id, life: .seconds(60), timeout: soon)
        #expect(fixture.requests("get").count == 1)
    }

    @Test func `S17 extending a paused one says that it does not run`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.extend(sandbox.id, life: soon, timeout: soon)
        }
        #expect(error?.kind == .gone)
    }

    // MARK: Pause

    @Test func `C20 pausing twice is success`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        #expect(fixture.fake.sandboxes.map(\.state) == ["paused"])
        #expect(fixture.requests("pause").map(\.status) == [204, 409])
    }

    @Test func `C20 S40 a pause that failed by its status is believed only after a GET`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("pause", .status, status: 500))
        let stillRunning = await failure { () async throws(ProviderError) in
            try await fixture.provider.pause(sandbox.id, timeout: soon)
        }
        #expect(stillRunning?.kind == .http(status: 500))
        fixture.fake.inject(FakeFault("pause", .status, afterEffect: true, status: 500))
        try await fixture.provider.pause(sandbox.id, timeout: soon)
        fixture.fake.vanish(sandbox.id.rawValue)
        fixture.fake.inject(FakeFault("pause", .status, status: 500))
        let lost = await failure { () async throws(ProviderError) in
            try await fixture.provider.pause(sandbox.id, timeout: soon)
        }
        #expect(lost?.kind == .gone)
        #expect(fixture.requests("get").count == 3)
    }

    @Test func `C20 a 409 for another reason is settled by GET`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("pause", .status, status: 409))
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.pause(sandbox.id, timeout: soon)
        }
        #expect(error?.kind == .http(status: 409))
    }

    // MARK: Kill

    @Test func `C23 S40 a kill with a server error is verified with GET`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("kill", .status, status: 503))
        let failed = await failure { () async throws(ProviderError) in
            try await fixture.provider.kill(sandbox.id, timeout: soon)
        }
        #expect(failed?.isRetryable == true)
        fixture.fake.inject(FakeFault("kill", .status, afterEffect: true, status: 500))
        #expect(try await fixture.provider.kill(sandbox.id, timeout: soon) == .killed)
    }

    @Test func `C23 a kill whose reply is lost can be repeated`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("kill", .drop, afterEffect: true, times: 2))
        let lost = await failure { () async throws(ProviderError) in
            try await fixture.provider.kill(sandbox.id, timeout: soon)
        }
        // libcurl may repeat an idempotent request on a dead connection by itself; then the second answer counts.
        #expect(lost == nil || lost?.isRetryable == true)
        fixture.fake.clearFaults()
        #expect(try await fixture.provider.kill(sandbox.id, timeout: soon) == .alreadyGone)
    }

    // MARK: Rubbish

    @Test(arguments: ["", "<html>", "[]", #"{"code":"x"}"#, #"{"message":"no code"}"#, "\u{0}\u{1}", "null"])
    func `C33 rubbish in an error body becomes a typed error with the status`(body: String) async throws {
        let fixture = try Fixture()
        for operation in ["get", "list", "kill", "connect"] {
            fixture.fake.inject(FakeFault(operation, .status, status: 500, text: body, times: 0))
        }
        let (id, provider) = (SandboxID("iabc"), fixture.provider)
        let errors = [
            await failure { () async throws(ProviderError) in try await provider.info(id, timeout: soon) },
            await failure { () async throws(ProviderError) in try await provider.kill(id, timeout: soon) },
            await failure { () async throws(ProviderError) in
                try await provider.list(.environment("test"), timeout: soon)
            },
            await failure { () async throws(ProviderError) in
                try await provider.connect(id, life: soon, timeout: soon)
            },
        ]
        for error in errors { #expect(error?.kind == .http(status: 500)) }
    }

    @Test(arguments: ["", "<html>", "[1]", "{}", #"{"sandboxID":5}"#, #"{"sandboxID":"a/../b"}"#])
    func `C33 rubbish in a reply becomes malformed`(body: String) async throws {
        let fixture = try Fixture()
        for operation in ["create", "get", "list", "connect"] {
            fixture.fake.inject(FakeFault(operation, .status, status: 200, text: body, times: 0))
        }
        let (id, provider) = (SandboxID("iabc"), fixture.provider)
        let order = try CreateRequest.sample()
        let errors = [
            await failure { () async throws(ProviderError) in try await provider.create(order, timeout: soon) },
            await failure { () async throws(ProviderError) in try await provider.info(id, timeout: soon) },
            await failure { () async throws(ProviderError) in
                try await provider.list(.environment("test"), timeout: soon)
            },
            await failure { () async throws(ProviderError) in
                try await provider.connect(id, life: soon, timeout: soon)
            },
        ]
        for error in errors { #expect(error?.kind == .malformed) }
    }

    @Test func `a slow reply ends by the limit`() async throws {
        let fixture = try Fixture()
        let sandbox = try await fixture.create()
        fixture.fake.inject(FakeFault("get", .slow, bytesPerSecond: 20))
        let error = await failure { () async throws(ProviderError) in
            try await fixture.provider.info(sandbox.id, timeout: .milliseconds(300))
        }
        #expect(error?.kind == .timedOut(after: .milliseconds(300)))
    }

    @Test func `C10 an unknown state counts as running`() async throws {
        let fixture = try Fixture()
        let text = #"""
            {"sandboxID":"iabc","templateID":"t","startedAt":"2026-11-22T19:30:06.400272123Z","state":"hibernating",
            "endAt":"2199-11-22T19:30:06Z","metadata":null,"cpuCount":2}
            """#
        fixture.fake.inject(FakeFault("get", .status, status: 200, text: text))
        let info = try #require(try await fixture.provider.info(SandboxID("iabc"), timeout: soon))
        #expect(info.state == .running)
        #expect(info.labels == nil)
    }

    @Test func `a cancelled call says so at once`() async throws {
        let fixture = try Fixture()
        fixture.fake.inject(FakeFault("get", .hang))
        let provider = fixture.provider
        let task = Task {
            await failure { () async throws(ProviderError) in
                try await provider.info(SandboxID("iabc"), timeout: .seconds(30))
            }
        }
        #expect(await eventually { fixture.fake.arrivals > 0 })
        task.cancel()
        #expect(await task.value?.kind == .cancelled)
    }
}
