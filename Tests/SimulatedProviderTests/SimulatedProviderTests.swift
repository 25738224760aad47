import SandboxCore
import SimulatedProvider
import Testing

@Suite(.timeLimit(.minutes(1))) struct SimulatedProviderTests {
    private let time = SteppedTime()
    private let limit: Duration = .seconds(10)

    private func provider(_ change: (inout SimulatedProvider.Behaviour) -> Void = { _ in }) -> SimulatedProvider {
        var behaviour = SimulatedProvider.Behaviour()
        behaviour.createLatency = .zero
        change(&behaviour)
        return SimulatedProvider(behaviour: behaviour, time: time, random: CountingRandom())
    }

    private func order(
        user: String = "u",
        project: String = "p",
        token: String = "t",
        environment: String = "test",
        template: String = "base",
        life: Duration = .seconds(100)
    ) throws -> CreateRequest {
        CreateRequest(
            template: template,
            metadata: ["color": "red"],
            environment: ["KEY": Secret("value")],
            life: life,
            labels: SandboxLabels(
                key: try LeaseKey(user: user, project: project),
                token: CreationToken(token),
                environment: environment,
                epoch: Epoch(7)
            )
        )
    }

    private func failure(_ body: () async throws(ProviderError) -> some Any) async -> ProviderError? {
        do throws(ProviderError) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    // MARK: Creating

    @Test func `a sandbox is described as it was ordered`() async throws {
        let provider = provider()
        let order = try order()
        let made = try await provider.create(order, timeout: limit)
        #expect(made.template == "base")
        #expect(made.remainingLife == .seconds(100))
        let info = try #require(try await provider.info(made.id, timeout: limit))
        #expect(info.sandbox == made)
        #expect(info.state == .running)
        #expect(info.metadata == ["color": "red"])
        #expect(info.labels == order.labels)
        #expect(info.startedAt == time.wallNow())
        #expect(provider.count == 1)
    }

    @Test func `an unknown template makes nothing`() async throws {
        let provider = provider()
        let order = try order(template: "other")
        let error = await failure { () async throws(ProviderError) in try await provider.create(order, timeout: limit) }
        #expect(error?.kind == .http(status: 404))
        #expect(error?.effect == ProviderError.Effect.none)
        #expect(error?.isRetryable == false)
        #expect(provider.count == 0)
    }

    @Test func `a create takes its time, and is cancelled without a trace`() async throws {
        let provider = provider { $0.createLatency = .seconds(5) }
        let order = try order()
        let first = Task { [limit] in try await provider.create(order, timeout: limit) }
        let second = Task { [limit] in
            await failure { () async throws(ProviderError) in try await provider.create(order, timeout: limit) }
        }
        #expect(await time.waitForSleepers(2))
        #expect(provider.count == 0)
        second.cancel()
        let error = await second.value
        #expect(error?.kind == .cancelled)
        #expect(error?.effect == ProviderError.Effect.none)
        time.advance(by: .seconds(5))
        #expect(try await first.value.remainingLife == .seconds(100))
        #expect(provider.count == 1)
    }

    @Test func `the peak is the most that lived at once`() async throws {
        let provider = provider()
        var made: [ProviderSandbox] = []
        for _ in 0..<3 { made.append(try await provider.create(try order(), timeout: limit)) }
        #expect(Set(made.map(\.id)).count == 3)
        for sandbox in made { _ = try await provider.kill(sandbox.id, timeout: limit) }
        _ = try await provider.create(try order(), timeout: limit)
        #expect(provider.count == 1)
        #expect(provider.peak == 3)
    }

    // MARK: Life

    @Test func `a sandbox ends when its life does`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        time.advance(by: .milliseconds(99_999))
        #expect(try await provider.info(made.id, timeout: limit)?.sandbox.remainingLife == .milliseconds(1))
        #expect(await provider.health(made, timeout: limit) == .alive)
        time.advance(by: .milliseconds(1))
        #expect(try await provider.info(made.id, timeout: limit) == nil)
        #expect(await provider.health(made, timeout: limit) == .gone)
        #expect(try await provider.list(.environment("test"), timeout: limit).isEmpty)
        #expect(try await provider.kill(made.id, timeout: limit) == .alreadyGone)
        let refused = await failure { () async throws(ProviderError) in
            try await provider.connect(made.id, life: .seconds(1), timeout: limit)
        }
        #expect(refused?.kind == .gone)
    }

    @Test func `extending counts from now and tells what is granted`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        time.advance(by: .seconds(60))
        #expect(try await provider.extend(made.id, life: .seconds(80), timeout: limit) == .seconds(80))
        time.advance(by: .seconds(79))
        #expect(await provider.health(made, timeout: limit) == .alive)
        time.advance(by: .seconds(1))
        #expect(await provider.health(made, timeout: limit) == .gone)
    }

    @Test func `only what runs can be extended`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        try await provider.pause(made.id, timeout: limit)
        for id in [made.id, SandboxID("unknown")] {
            let error = await failure { () async throws(ProviderError) in
                try await provider.extend(id, life: .seconds(1), timeout: limit)
            }
            #expect(error?.kind == .gone)
        }
    }

    @Test(arguments: [(10, 100), (100, 100), (500, 500)])
    func `connecting never shortens a life`(wish: Int, remaining: Int) async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        let connected = try await provider.connect(made.id, life: .seconds(wish), timeout: limit)
        #expect(!connected.resumed)
        #expect(connected.sandbox.remainingLife == .seconds(remaining))
        #expect(try await provider.info(made.id, timeout: limit)?.sandbox.remainingLife == .seconds(remaining))
    }

    // MARK: Pause

    @Test func `a paused sandbox outlives its life, and is resumed for another`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        try await provider.pause(made.id, timeout: limit)
        try await provider.pause(made.id, timeout: limit)
        #expect(await provider.health(made, timeout: limit) == .paused)
        time.advance(by: .seconds(1000))
        #expect(try await provider.info(made.id, timeout: limit)?.state == .paused)
        let connected = try await provider.connect(made.id, life: .seconds(50), timeout: limit)
        #expect(connected.resumed)
        #expect(connected.sandbox.remainingLife == .seconds(50))
        #expect(await provider.health(made, timeout: limit) == .alive)
        time.advance(by: .seconds(50))
        #expect(provider.count == 0)
    }

    @Test func `what is gone cannot be paused`() async throws {
        let provider = provider()
        let error = await failure { () async throws(ProviderError) in
            try await provider.pause(SandboxID("unknown"), timeout: limit)
        }
        #expect(error?.kind == .gone)
    }

    // MARK: Ending

    @Test func `a second kill finds nothing and is as good as the first`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        #expect(try await provider.kill(made.id, timeout: limit) == .killed)
        #expect(try await provider.kill(made.id, timeout: limit) == .alreadyGone)
        #expect(await provider.health(made, timeout: limit) == .gone)
    }

    @Test func `a kill that is cancelled kills nothing`() async throws {
        let provider = provider { $0.killLatency = .seconds(5) }
        let made = try await provider.create(try order(), timeout: limit)
        let kill = Task { [limit] in
            await failure { () async throws(ProviderError) in try await provider.kill(made.id, timeout: limit) }
        }
        #expect(await time.waitForSleepers(1))
        kill.cancel()
        #expect(await kill.value?.kind == .cancelled)
        #expect(provider.count == 1)
    }

    @Test func `a sandbox can vanish behind the manager's back`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        provider.vanish(made.id)
        #expect(try await provider.info(made.id, timeout: limit) == nil)
    }

    @Test func `shutdown ends everything`() async throws {
        let provider = provider()
        for _ in 0..<3 { _ = try await provider.create(try order(), timeout: limit) }
        await provider.shutdown()
        #expect(provider.count == 0)
        #expect(!provider.capabilities.outlivesProcess)
    }

    // MARK: Looking

    @Test func `a listing shows what the filter asks for`() async throws {
        let provider = provider()
        let one = try await provider.create(try order(user: "a", token: "1"), timeout: limit).id
        let two = try await provider.create(try order(user: "a", project: "q", token: "2"), timeout: limit).id
        let foreign = try await provider.create(try order(user: "a", token: "1", environment: "x"), timeout: limit).id
        func ids(_ filter: SandboxFilter) async throws -> Set<SandboxID> {
            Set(try await provider.list(filter, timeout: limit).map(\.sandbox.id))
        }
        #expect(try await ids(.environment("test")) == [one, two])
        #expect(try await ids(.environment("x")) == [foreign])
        #expect(try await ids(.environment("nowhere")).isEmpty)
        #expect(try await ids(.token(CreationToken("1"), environment: "test")) == [one])
        #expect(try await ids(.key(try LeaseKey(user: "a", project: "q"), environment: "test")) == [two])
        #expect(try await ids(.key(try LeaseKey(user: "a", project: "p"), environment: "x")) == [foreign])
        #expect(try await ids(.key(try LeaseKey(user: "b", project: "p"), environment: "test")).isEmpty)
    }

    @Test func `a probe takes its time, and a cancelled one says so`() async throws {
        let provider = provider { $0.healthLatency = .seconds(2) }
        let made = try await provider.create(try order(), timeout: limit)
        let probe = Task { [limit] in await provider.health(made, timeout: limit) }
        let dropped = Task { [limit] in await provider.health(made, timeout: limit) }
        #expect(await time.waitForSleepers(2))
        dropped.cancel()
        #expect(await dropped.value == .cancelled)
        time.advance(by: .seconds(2))
        #expect(await probe.value == .alive)
    }

    @Test func `a call whose time limit is shorter than its latency times out`() async throws {
        let provider = provider {
            $0.createLatency = .seconds(20)
            $0.healthLatency = .seconds(20)
            $0.killLatency = .seconds(20)
        }
        let order = try order()
        let create = Task { [limit] in
            await failure { () async throws(ProviderError) in try await provider.create(order, timeout: limit) }
        }
        let kill = Task { [limit] in
            await failure { () async throws(ProviderError) in try await provider.kill(SandboxID("s"), timeout: limit) }
        }
        let probe = Task { [limit] in
            await provider.health(
                ProviderSandbox(id: SandboxID("s"), template: "base", remainingLife: .zero),
                timeout: limit
            )
        }
        #expect(await time.waitForSleepers(3))
        time.advance(by: limit)
        #expect(await create.value?.kind == .timedOut(after: limit))
        #expect(await kill.value?.kind == .timedOut(after: limit))
        #expect(await probe.value == .timedOut(after: limit))
        #expect(provider.count == 0)
    }

    @Test func `nothing can run inside`() async throws {
        let provider = provider()
        let made = try await provider.create(try order(), timeout: limit)
        let error = await failure { () async throws(ProviderError) in
            try await provider.exec(made, ExecRequest(command: ["true"], timeout: .seconds(1)))
        }
        #expect(error?.kind == .unsupported)
        #expect(error?.effect == ProviderError.Effect.none)
    }
}
