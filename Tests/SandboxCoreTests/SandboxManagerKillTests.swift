import Logging
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct SandboxManagerKillTests {
    private static let audit = "killed a sandbox"
    private static let failure = "a kill failed and will be repeated"

    /// A world with one leased sandbox, whose releases do not wait for deaths.
    private struct Fixture {
        let world = World()
        let log = LoggedLines()
        let manager: SandboxManager
        let grant: Grant

        init() async throws {
            manager = world.manager(log: log) { $0.releaseWait = .zero }
            grant = try await manager.acquire(try key())
        }

        func release() async throws {
            let (manager, key) = (manager, try key())
            let release = world.start { () async throws(ManagerError) in try await manager.release(key) }
            #expect(await world.passing(.milliseconds(50)) { release.isDone })
            #expect(await world.spawner.idle())
        }

        func nextRound() async {
            world.time.advance(by: .seconds(30))
            await manager.round(.outbox)
        }

        var isFree: Bool { world.store.usage() == StoreUsage() }
    }

    @Test(arguments: [ProviderError.Kind.http(status: 500), .http(status: 503), .timedOut(after: .seconds(15))])
    func `I4 a kill that took effect and was answered with a failure counts as soon as the control plane says 404`(
        kind: ProviderError.Kind
    ) async throws {
        let fixture = try await Fixture()
        let lost = ProviderError(.kill, kind, "lost", effect: .unknown)
        fixture.world.provider.script(.kill, .proceedThenFail(lost))
        try await fixture.release()
        #expect(fixture.world.provider.count(of: .info) == 1)
        #expect(fixture.world.provider.count(of: .kill) == 1)
        #expect(fixture.isFree)
        #expect(fixture.log[Self.audit].map { $0.metadata["outcome"] } == ["already_gone"])
        #expect(fixture.log[Self.failure].isEmpty)
        await fixture.world.expectQuiet()
    }

    @Test(arguments: [ProviderError.Kind.http(status: 500), .timedOut(after: .seconds(15))])
    func `I4 a kill that failed is repeated while the control plane knows the sandbox`(
        kind: ProviderError.Kind
    ) async throws {
        let fixture = try await Fixture()
        fixture.world.provider.script(.kill, .fail(ProviderError(.kill, kind, "no", effect: .unknown)))
        try await fixture.release()
        #expect(fixture.world.provider.count(of: .info) == 1)
        #expect(fixture.world.store.usage().slots == 1 && fixture.world.store.usage().outbox == 1)
        #expect(fixture.log[Self.audit].isEmpty)
        await fixture.nextRound()
        #expect(fixture.isFree && fixture.world.provider.live.isEmpty)
        #expect(fixture.log[Self.audit].count == 1)
    }

    @Test func `I4 a kill that failed is repeated when nobody can say whether the sandbox is there`() async throws {
        let fixture = try await Fixture()
        fixture.world.provider.script(.kill, .proceedThenFail(Failures.http(502, .kill)))
        fixture.world.provider.script(.info, .fail(Failures.http(502, .info)))
        try await fixture.release()
        #expect(fixture.world.store.usage().slots == 1, "no 404, no death")
        #expect(fixture.log[Self.audit].isEmpty && fixture.log[Self.failure].count == 1)
        await fixture.nextRound()
        #expect(fixture.isFree)
    }

    @Test func `a kill that was refused is not asked about`() async throws {
        let fixture = try await Fixture()
        fixture.world.provider.script(.kill, .fail(Failures.http(403, .kill)))
        try await fixture.release()
        #expect(fixture.world.provider.count(of: .info) == 0)
        #expect(fixture.world.store.usage().outbox == 1)
    }

    @Test func `each confirmed death is one line, each failed attempt one warning`() async throws {
        let fixture = try await Fixture()
        let refused = ScriptedProvider.Decision.fail(Failures.http(403, .kill))
        fixture.world.provider.script(.kill, refused, refused)
        try await fixture.release()
        await fixture.nextRound()
        #expect(fixture.log[Self.audit].isEmpty)
        await fixture.nextRound()
        await fixture.nextRound()
        let lines = fixture.log[Self.audit]
        #expect(lines.count == 1 && lines.first?.level == .notice)
        #expect(
            lines.first?.metadata == [
                "sandbox": fixture.grant.sandbox.id.rawValue, "reason": "released", "decided_by": "user",
                "replica": "replica-7", "attempts": "3", "outcome": "killed", "key": "alice:p1",
                "epoch": "\(fixture.grant.epoch)",
            ]
        )
        #expect(fixture.log[Self.failure].count == 2)
        #expect(fixture.log[Self.failure].allSatisfy { $0.level == .warning })
    }

    @Test func `a reaped lease is the reaper's decision`() async throws {
        let fixture = try await Fixture()
        fixture.world.time.advance(by: .seconds(501))
        await fixture.manager.round(.reaper)
        #expect(await fixture.world.spawner.idle())
        #expect(fixture.log[Self.audit].map { $0.metadata["decided_by"] } == ["reaper"])
        #expect(fixture.log[Self.audit].map { $0.metadata["epoch"] } == ["\(fixture.grant.epoch)"])
    }
}
