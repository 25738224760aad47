import E2BProvider
import FakeE2B
import SandboxCore
import SystemRuntime

/// A manager over a real provider over the fake cloud, with short time limits.
struct ManagedCloud {
    let fake: FakeE2BServer
    let provider: E2BProvider
    let manager: SandboxManager
    let store: MemoryLeaseStore

    init(
        cloud: FakeE2BConfiguration = FakeE2BConfiguration(),
        log: LogCapture = LogCapture(),
        _ adjust: (inout ManagerConfiguration) -> Void = { _ in }
    ) throws {
        let fixture = try Fixture(cloud: cloud)
        fake = fixture.fake
        provider = fixture.provider
        var configuration = ManagerConfiguration()
        configuration.environment = "test"
        configuration.limits = SlotLimits(perUser: 20, total: 100)
        configuration.createTimeout = .milliseconds(400)
        configuration.createRetryDelay = .milliseconds(10)
        configuration.connectTimeout = .seconds(2)
        configuration.killTimeout = .seconds(1)
        configuration.healthTimeout = .seconds(1)
        configuration.requestDeadline = .seconds(20)
        adjust(&configuration)
        store = MemoryLeaseStore(time: SystemTime(), claim: .milliseconds(50))
        manager = SandboxManager(
            configuration: configuration,
            provider: fixture.provider,
            store: store,
            runtime: .system(),
            log: log.logger
        )
    }

    /// Ids of the sandboxes that leases name.
    func leased() async -> Set<String> {
        let page = try? await manager.list(user: nil, limit: 1000, after: nil)
        return Set(page?.leases.map(\.record.sandbox.id.rawValue) ?? [])
    }

    /// Whether nothing is under way in the cloud and each of its sandboxes is leased, after another round of the outbox worker.
    func isSettled() async -> Bool {
        guard fake.isQuiet else { return false }
        await manager.round(.outbox)
        return Set(fake.sandboxes.map(\.id)) == (await leased())
    }

    /// What an acquire throws; `nil` if it grants.
    func refusal(_ key: LeaseKey) async -> ManagerError? {
        do throws(ManagerError) {
            _ = try await manager.acquire(key)
            return nil
        } catch {
            return error
        }
    }

    func stop() async {
        await provider.shutdown()
        fake.stop()
    }
}
