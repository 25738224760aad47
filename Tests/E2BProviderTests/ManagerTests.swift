import E2BProvider
import FakeE2B
import SandboxCore
import Synchronization
import Testing

/// The manager, the provider, libcurl and the fake cloud together.
@Suite(.timeLimit(.minutes(2)))
struct ManagerTests {
    let key: LeaseKey

    init() throws { key = try LeaseKey(user: "ann", project: "web") }

    @Test func `O1 C28 a create that timed out here and was made there is adopted, not repeated`() async throws {
        let cloud = try ManagedCloud()
        cloud.fake.inject(FakeFault("create", .hang, afterEffect: true))
        let grant = try await cloud.manager.acquire(key)
        #expect(cloud.fake.sandboxes.map(\.id) == [grant.sandbox.id.rawValue])
        #expect(cloud.fake.counters["created"] == 1)
        // A listing has no tokens; an adopted sandbox can be used all the same.
        #expect(grant.sandbox.envdAccessToken != nil)
    }

    @Test(arguments: [FakeFault.Kind.drop, .half, .malformed])
    func `C28 S40 a lost or broken reply leaves one sandbox, which is leased`(kind: FakeFault.Kind) async throws {
        let cloud = try ManagedCloud()
        cloud.fake.inject(FakeFault("create", kind, afterEffect: true))
        let grant = try await cloud.manager.acquire(key)
        #expect(cloud.fake.sandboxes.map(\.id) == [grant.sandbox.id.rawValue])
    }

    @Test func `C28 a sandbox that shows up late is found and killed`() async throws {
        let cloud = try ManagedCloud { $0.createRetries = 0 }
        cloud.fake.inject(FakeFault("create", .late, milliseconds: 1800))
        cloud.fake.inject(FakeFault("create", .status, afterEffect: true, status: 504))
        #expect(await cloud.refusal(key) != nil)
        #expect(cloud.fake.counters["created"] == 1)
        #expect(await eventually { await cloud.isSettled() })
        #expect(cloud.fake.sandboxes.isEmpty)
        #expect(cloud.fake.counters["killed"] == 1)
    }

    @Test func `C30 O2 a cancelled caller's sandbox is kept for the next one`() async throws {
        let cloud = try ManagedCloud { $0.createTimeout = .seconds(5) }
        cloud.fake.inject(FakeFault("create", .latency, milliseconds: 300))
        let (manager, key) = (cloud.manager, key)
        let caller = Task { try? await manager.acquire(key) }
        #expect(await eventually { cloud.fake.arrivals > 0 })
        caller.cancel()
        #expect(await caller.value == nil)
        #expect(await eventually { await cloud.isSettled() && cloud.fake.sandboxes.count == 1 })
        let grant = try await cloud.manager.acquire(key)
        #expect(cloud.fake.sandboxes.map(\.id) == [grant.sandbox.id.rawValue])
    }

    @Test func `O3 C23 a kill is repeated until it is confirmed`() async throws {
        let cloud = try ManagedCloud()
        _ = try await cloud.manager.acquire(key)
        cloud.fake.inject(FakeFault("kill", .status, status: 500))
        _ = try await cloud.manager.release(key)
        #expect(await eventually { await cloud.isSettled() && cloud.fake.sandboxes.isEmpty })
    }

    @Test func `O5 K3 one failed probe loses neither the sandbox nor the lease`() async throws {
        let cloud = try ManagedCloud { $0.freshWindow = .zero }
        let grant = try await cloud.manager.acquire(key)
        let id = grant.sandbox.id.rawValue
        cloud.fake.setAgent("unrouted", of: id)
        #expect(await cloud.refusal(key) != nil)
        #expect(cloud.fake.sandboxes.map(\.id) == [id])
        cloud.fake.setAgent("open", of: id)
        #expect(try await cloud.manager.acquire(key).sandbox.id == grant.sandbox.id)
        #expect(cloud.fake.counters["created"] == 1)
        #expect(cloud.fake.counters["killed"] == nil)
    }

    @Test func `a sandbox that expired is replaced`() async throws {
        let cloud = try ManagedCloud { $0.freshWindow = .zero }
        let first = try await cloud.manager.acquire(key)
        cloud.fake.vanish(first.sandbox.id.rawValue)
        let second = try await cloud.manager.acquire(key)
        #expect(first.sandbox.id != second.sandbox.id)
        #expect(await cloud.isSettled())
    }

    @Test(arguments: [400, 401, 403, 404])
    func `T5 C32 a refused create is tried once`(status: Int) async throws {
        let cloud = try ManagedCloud()
        cloud.fake.inject(FakeFault("create", .status, status: status, times: 0))
        #expect(await cloud.refusal(key) != nil)
        #expect(cloud.fake.journal.count { $0.operation == "create" } == 1)
    }

    @Test func `T5 C32 a reset and a 503 are tried again`() async throws {
        let cloud = try ManagedCloud()
        let noRoom = #"{"code":503,"message":"no room","error_code":"sandbox_capacity_unavailable"}"#
        cloud.fake.inject(FakeFault("create", .status, status: 503, text: noRoom))
        _ = try await cloud.manager.acquire(key)
        #expect(cloud.fake.journal.filter { $0.operation == "create" }.map(\.status) == [503, 201])
        cloud.fake.inject(FakeFault("create", .drop))
        _ = try await cloud.manager.acquire(try LeaseKey(user: "ann", project: "other"))
        #expect(cloud.fake.journal.filter { $0.operation == "create" }.map(\.status) == [503, 201, 0, 201])
    }

    @Test func `C31 a full account is asked once, and a rate limit is waited out`() async throws {
        var limits = FakeE2BConfiguration()
        limits.concurrencyLimit = 0
        let full = try ManagedCloud(cloud: limits)
        #expect(await full.refusal(key)?.reason.rawValue == "provider_quota")
        #expect(full.fake.journal.count { $0.operation == "create" } == 1)
        let limited = try ManagedCloud()
        limited.fake.inject(FakeFault("create", .status, status: 429, headers: ["Retry-After": "1"]))
        let start = ContinuousClock.now
        _ = try await limited.manager.acquire(key)
        #expect(ContinuousClock.now - start >= .seconds(1))
        #expect(limited.fake.journal.count { $0.operation == "create" } == 2)
    }

    @Test func `T6 a create that hangs for ever parks nobody for ever`() async throws {
        let cloud = try ManagedCloud { $0.createRetries = 0 }
        cloud.fake.inject(FakeFault("create", .hang, times: 0))
        let start = ContinuousClock.now
        let (manager, key) = (cloud.manager, key)
        let failures = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    do throws(ManagerError) {
                        _ = try await manager.acquire(key)
                        return false
                    } catch {
                        return true
                    }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failures == 200)
        #expect(ContinuousClock.now - start < .seconds(15))
        #expect(cloud.fake.arrivals < 10)
    }

    @Test func `T7 T8 a resumed sandbox lives as long as the manager believes`() async throws {
        let cloud = try ManagedCloud { $0.idleTimeout = .seconds(600) }
        let first = try await cloud.manager.acquire(key)
        _ = try await cloud.manager.pause(key)
        let second = try await cloud.manager.acquire(key)
        #expect(first.sandbox.id == second.sandbox.id)
        let life = try #require(cloud.fake.sandboxes.first).remainingSeconds
        #expect(life > 850)
        #expect(second.sandbox.remainingLife.inSeconds <= life + 1)
        #expect(cloud.fake.journal.filter { $0.operation == "connect" }.allSatisfy { $0.body?["timeout"]?.int != nil })
        #expect(cloud.fake.journal.filter { $0.operation == "create" }.allSatisfy { $0.body?["autoPause"] == false })
    }

    @Test func `C2 no key and no token in any log line or error`() async throws {
        let log = LogCapture()
        let cloud = try ManagedCloud(log: log) { $0.freshWindow = .zero }
        let grant = try await cloud.manager.acquire(
            key,
            AcquireOptions(environment: ["SECRET": Secret("users-own-secret")])
        )
        let token = try #require(grant.sandbox.envdAccessToken).reveal()
        var said = ""
        for status in [400, 401, 403, 404, 409, 429, 500, 502, 503, 504] {
            // A server may repeat what it was sent.
            let sent = ["create": "users-own-secret", "get": "", "kill": "", "health": token, "start": token]
            for (operation, secret) in sent {
                let echo = #"{"code":\#(status),"message":"your \#(Fixture.apiKey) and \#(secret)"}"#
                cloud.fake.inject(FakeFault(operation, .status, status: status, text: echo))
            }
            said += String(reflecting: await cloud.provider.health(grant.sandbox, timeout: soon))
            let order = try CreateRequest.sample()
            let request = ExecRequest(command: ["true"], timeout: soon)
            let (provider, sandbox) = (cloud.provider, grant.sandbox)
            var orderWithSecret = order
            orderWithSecret.environment = ["SECRET": Secret("users-own-secret")]
            let withSecret = orderWithSecret
            said += String(
                reflecting: await failure { () async throws(ProviderError) in
                    try await provider.create(withSecret, timeout: soon)
                }
            )
            said += String(
                reflecting: await failure { () async throws(ProviderError) in
                    try await provider.exec(sandbox, request)
                }
            )
            _ = await cloud.refusal(key)
        }
        _ = try? await cloud.manager.release(key)
        said += log.lines + String(reflecting: grant)
        #expect(said.utf8.count > 1000)
        for secret in [Fixture.apiKey, token, "users-own-secret"] { #expect(!said.contains(secret)) }
    }
}
