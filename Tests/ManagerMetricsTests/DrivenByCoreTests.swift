import ManagerMetrics
import PrometheusClient
import SimulatedProvider
import SystemRuntime
import TestSupport
import Testing

@testable import SandboxCore

/// The real manager with its real metrics, driven through every kind of failure.
@Suite(.timeLimit(.minutes(1))) struct DrivenByCoreTests {
    private let metrics: ManagerMetrics
    private let provider: FailingProvider
    private let manager: SandboxManager

    init() throws {
        let runtime = Runtime.system()
        metrics = try ManagerMetrics(
            build: BuildInformation(version: "1", revision: "r", swiftVersion: "6"),
            startedAt: runtime.time.wallNow()
        )
        provider = FailingProvider(base: SimulatedProvider(time: runtime.time, random: runtime.random))
        var configuration = ManagerConfiguration()
        configuration.createRetries = 1
        configuration.createRetryDelay = .milliseconds(1)
        configuration.releaseWait = .milliseconds(20)
        configuration.healthTimeout = .milliseconds(200)
        // Every failure is to reach the manager, however many came before it.
        configuration.breaker.minimumCalls = 1_000_000
        let manager = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: MemoryLeaseStore(time: runtime.time),
            runtime: runtime,
            observer: metrics
        )
        self.manager = manager
        metrics.collect(
            manager: { manager.gauges() },
            server: { ServerSample() },
            process: { ProcessSample() },
            activeFaults: []
        )
    }

    private static let kinds: [ProviderError.Kind] =
        [
            .timedOut(after: .seconds(1)), .dns, .refused, .reset, .tls, .concurrencyLimit, .rateLimited, .gone,
            .malformed,
            .cancelled, .unsupported, .unavailable, .breakerOpen,
        ] + [302, 400, 401, 403, 404, 409, 418, 500, 503].map { .http(status: $0) }

    private static let verdicts: [HealthVerdict] = [
        .alive, .timedOut(after: .seconds(1)), .unreachable("no route"), .unhealthy("502"), .gone, .paused,
        .unauthorized,
        .malformed("?"), .cancelled,
    ]

    /// Everything that can be asked of a lease and of the loops; what becomes of it does not matter here.
    private func useEverything(_ key: LeaseKey) async {
        _ = try? await manager.acquire(key)
        _ = try? await manager.describe(key)
        _ = try? await manager.keepalive(key)
        _ = try? await manager.exec(key, ExecRequest(command: ["true"], timeout: .seconds(1)))
        _ = try? await manager.reportUnhealthy(key)
        _ = try? await manager.acquire(key)
        _ = try? await manager.pause(key)
        _ = try? await manager.acquire(key)
        _ = try? await manager.list(user: nil, limit: 10, after: nil)
        _ = try? await manager.list(user: nil, limit: 0, after: nil)
        _ = try? await manager.stats()
        _ = try? await manager.explain(key)
        _ = try? await manager.release(key)
        for loop in LoopName.allCases { await manager.round(loop) }
    }

    private func page() throws -> Exposition {
        Exposition.parse(String(decoding: try metrics.registry.render(.text), as: UTF8.self))
    }

    /// What must hold whatever happened, once nothing is under way.
    private func checkLaws(_ comment: Comment) throws {
        #expect(metrics.registry.rejectedUpdates == 0, comment)
        let page = try page()
        // A reason without a child of its own would have been counted as a fault of ours.
        #expect(page.sum(of: "sandbox_manager_operations_total", where: ["result": "internal"]) == 0, comment)
        for operation in Operation.allCases {
            let labels = ["operation": operation.rawValue]
            #expect(
                page.value(of: "sandbox_manager_operation_duration_seconds_count", labels)
                    == page.sum(of: "sandbox_manager_operations_total", where: labels),
                comment
            )
        }
        let acquired = page.value(of: "sandbox_manager_operations_total", ["operation": "acquire", "result": "ok"])
        #expect(page.sum(of: "sandbox_manager_acquires_total") == acquired, comment)
        let locks = page.sum(of: "sandbox_manager_user_locks")
        let created = try #require(page.value(of: "sandbox_manager_user_locks_created_total"))
        #expect(created - (page.value(of: "sandbox_manager_user_locks_removed_total") ?? -1) == locks, comment)
        #expect(page.value(of: "sandbox_manager_collection_entries", ["collection": "user_locks"]) == locks, comment)
        #expect(
            page.value(of: "sandbox_manager_collection_entries", ["collection": "leases"])
                == page.sum(of: "sandbox_manager_leases"),
            comment
        )
        #expect(page.sum(of: "sandbox_manager_store_mode") == 1, comment)
        for upstream in ["provider", "store"] {
            #expect(page.sum(of: "sandbox_manager_breaker_state", where: ["upstream": upstream]) == 1, comment)
        }
    }

    @Test func `a life without failures is counted`() async throws {
        await useEverything(try LeaseKey(user: "u", project: "p"))
        try checkLaws("no failure")
        let page = try page()
        #expect(page.value(of: "sandbox_manager_acquires_total", ["source": "created"]) == 1)
        #expect(page.value(of: "sandbox_manager_sandboxes_created_total", ["origin": "acquire"]) == 1)
        #expect(page.value(of: "sandbox_manager_sandboxes_killed_total", ["reason": "released"]) == 1)
        #expect(page.value(of: "sandbox_manager_leases_ended_total", ["reason": "released"]) == 1)
        #expect(page.value(of: "sandbox_manager_lease_duration_seconds_count") == 1)
        #expect(page.sum(of: "sandbox_manager_leases") == 0)
        for (format, checked) in [(ExpositionFormat.text, ExpositionChecker.Format.text), (.openMetrics, .openMetrics)]
        {
            #expect(ExpositionChecker.problems(in: try metrics.registry.render(format), format: checked).isEmpty)
        }
    }

    @Test(arguments: [ProviderOperation.connect, .info, .list, .extend, .pause, .kill, .exec])
    func `every failure of the provider has its child`(operation: ProviderOperation) async throws {
        for (number, kind) in Self.kinds.enumerated() {
            provider.fail(operation, with: ProviderError(operation, kind, "as told", effect: .unknown))
            await useEverything(try LeaseKey(user: "u\(number)", project: "p"))
        }
        try checkLaws("\(operation)")
    }

    @Test(arguments: [ProviderError.Effect.none, .unknown])
    func `every failure of a create has its child`(effect: ProviderError.Effect) async throws {
        await withTaskGroup(of: Void.self) { group in
            for (number, kind) in Self.kinds.enumerated() {
                let user = "u\(number)"
                provider.failCreates(of: user, with: ProviderError(.create, kind, "as told", effect: effect))
                group.addTask { [manager] in
                    guard let key = try? LeaseKey(user: user, project: "p") else { return }
                    await #expect(throws: ManagerError.self) { try await manager.acquire(key) }
                }
            }
        }
        await manager.round(.outbox)
        #expect(await settled())
        try checkLaws("\(effect)")
        let failed = try page().sum(of: "sandbox_manager_operations_total", where: ["operation": "create"])
        #expect(failed == Double(Self.kinds.count))
    }

    @Test(arguments: verdicts)
    func `every verdict of a probe has its child`(verdict: HealthVerdict) async throws {
        let key = try LeaseKey(user: "u", project: "p")
        _ = try await manager.acquire(key)
        provider.answerProbes(with: verdict)
        await useEverything(key)
        try checkLaws("\(verdict)")
        let labels = ["result": verdict.result.rawValue]
        #expect(try page().value(of: "sandbox_manager_health_checks_total", labels) ?? 0 > 0)
    }

    @Test func `M1 M2 every kind of failure has a counter that moves, and no failed kill counts as a killed sandbox`()
        async throws
    {
        let key = try LeaseKey(user: "u", project: "p")
        let replica = SandboxManager(
            configuration: manager.configuration,
            provider: provider,
            store: manager.store,
            runtime: manager.runtime,
            observer: metrics
        )
        func rises(_ name: String, _ labels: [String: String] = [:], _ work: () async -> Void) async throws {
            let before = try page().sum(of: "sandbox_manager_\(name)", where: labels)
            await work()
            #expect(try page().sum(of: "sandbox_manager_\(name)", where: labels) > before, "\(name) \(labels)")
        }
        let refused = ProviderError(.create, .http(status: 503), "busy", effect: .none)
        provider.failCreates(of: "failing", with: refused)
        let failing = try LeaseKey(user: "failing", project: "p")
        try await rises("operations_total", ["operation": "create", "result": "provider_unavailable"]) {
            _ = try? await manager.acquire(failing)
        }
        #expect(try page().sum(of: "sandbox_manager_retries_total", where: ["operation": "create"]) == 1)
        #expect(try page().sum(of: "sandbox_manager_retries_exhausted_total", where: ["operation": "create"]) == 1)
        provider.failCreates(of: "slow", with: ProviderError(.create, .timedOut(after: .seconds(1)), "", effect: .none))
        let slow = try LeaseKey(user: "slow", project: "p")
        try await rises("provider_requests_total", ["operation": "create", "result": "timed_out"]) {
            _ = try? await manager.acquire(slow)
        }
        _ = try await manager.acquire(key)
        try await rises("acquires_total", ["source": "reconnected"]) { _ = try? await replica.acquire(key) }
        provider.answerProbes(with: .unreachable("x"))
        try await rises("health_checks_total", ["result": "unreachable"]) {
            _ = try? await manager.reportUnhealthy(key)
        }
        provider.answerProbes(with: nil)
        try await rises("user_lock_wait_seconds_count") {
            async let one = manager.reportUnhealthy(key)
            async let other = manager.reportUnhealthy(key)
            _ = try? await (one, other)
        }
        provider.fail(.kill, with: ProviderError(.kill, .http(status: 500), "no", effect: .unknown))
        try await rises("operations_total", ["operation": "kill", "result": "provider_unavailable"]) {
            _ = try? await manager.release(key)
        }
        #expect(try page().sum(of: "sandbox_manager_sandboxes_killed_total") == 0)
        #expect(try page().value(of: "sandbox_manager_kill_outbox_entries") == 1)
    }

    @Test func `limits, waits that end early and draining have their children`() async throws {
        for project in ["1", "2", "3"] { _ = try? await manager.acquire(try LeaseKey(user: "u", project: project)) }
        #expect(try page().value(of: "sandbox_manager_limit_rejections_total", ["scope": "user"]) == 1)
        let key = try LeaseKey(user: "v", project: "p")
        let waiter = Task { try? await manager.acquire(key) }
        waiter.cancel()
        _ = await waiter.value
        _ = try? await manager.acquire(key, within: .zero)
        #expect(await settled())
        manager.beginDraining()
        await useEverything(key)
        try checkLaws("limits and draining")
    }

    /// Waits until no flight is under way, at most twenty seconds.
    private func settled() async -> Bool {
        let deadline = ContinuousClock.now + .seconds(20)
        while manager.gauges().userLocks.held > 0, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
        return manager.gauges().userLocks.held == 0
    }
}
