import Logging
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct SandboxManagerOperatorTests {
    @Test func `stopped creations refuse the new and serve the old, until they are resumed`() async throws {
        let world = World()
        let old = try await world.manager.acquire(try key("old"))
        world.manager.stopCreations()
        world.manager.stopCreations()
        let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key("new")) }
        #expect(error == .creationsStopped && error?.reason == .draining && error?.retryAfter == .seconds(30))
        #expect(world.manager.acquireIfFresh(try key("old"))?.sandbox.id == old.sandbox.id)
        world.time.advance(by: .seconds(40))
        #expect(try await world.acquiring(try key("old")).value.get().source == .verified)
        #expect(try await world.manager.release(try key("old")) == .released)
        #expect(world.manager.gauges().areCreationsStopped)
        #expect(world.provider.count(of: .create) == 1)
        #expect(world.store.usage() == StoreUsage(), "a refusal leaves nothing behind")
        world.manager.resumeCreations()
        #expect(try await world.acquiring(try key("new")).value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `a creation under way when creations stop ends well, one that failed is not repeated`() async throws {
        let world = World()
        world.provider.hold(.create)
        let good = world.acquiring(try key("good"))
        let goodCall = try #require(await world.provider.nextHeld(.create))
        let bad = world.acquiring(try key("bad"))
        let badCall = try #require(await world.provider.nextHeld(.create))
        world.manager.stopCreations()
        goodCall.resume()
        badCall.resume(.fail(Failures.http(503)))
        #expect(try await good.value.get().source == .created)
        let error = await #expect(throws: ManagerError.self) { try await bad.value.get() }
        #expect(error?.reason == .providerUnavailable)
        #expect(world.provider.count(of: .create) == 2)
        #expect(world.store.usage().slots == 1)
        await world.expectQuiet()
    }

    @Test func `each change is one line in the log`() async throws {
        let log = LoggedLines()
        let manager = World().manager(log: log)
        for _ in 0..<2 { manager.stopCreations() }
        for _ in 0..<2 { manager.resumeCreations() }
        for _ in 0..<2 { manager.drain() }
        #expect(
            log.all.map(\.text) == [
                "an operator stopped creations", "an operator resumed creations", "an operator drains this manager",
            ]
        )
        #expect(log.all.allSatisfy { $0.level == .notice })
        #expect(manager.isDraining)
    }
}
