import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerRateTests {
    private static func rated(_ configure: (inout ManagerConfiguration) -> Void = { _ in }) -> World {
        World {
            $0.limits = SlotLimits(perUser: 50, total: 100)
            $0.creationRate = CreationRate(perMinute: 30, burst: 2)
            configure(&$0)
        }
    }

    @Test func `I6 a creation refused for its rate leaves nothing behind and says exactly when`() async throws {
        let world = Self.rated()
        for project in ["p1", "p2"] { _ = try await world.acquiring(try key("ann", project)).value.get() }
        world.time.advance(by: .milliseconds(500))
        let error = await #expect(throws: ManagerError.self) {
            try await world.acquiring(try key("ann", "p3")).value.get()
        }
        #expect(error == .rateLimited(retryAfter: .milliseconds(1500)))
        #expect(world.provider.count(of: .create) == 2)
        let usage = world.store.usage()
        #expect(usage.slots == 2 && usage.active == 2 && usage.reservations == 0 && usage.intents == 0)
        #expect(world.observer.record.rateLimited == [.user: 1])
        #expect(world.observer.record.phases[.rateLimit] == 3)
        // Others, and what ann has already, are not concerned.
        #expect(try await world.acquiring(try key("ann", "p1")).value.get().source == .memory)
        #expect(try await world.acquiring(try key("ben", "p1")).value.get().source == .created)
        world.time.advance(by: .milliseconds(1500))
        #expect(try await world.acquiring(try key("ann", "p3")).value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `I6 rate buckets are a bounded collection that empties by itself`() async throws {
        let world = Self.rated()
        _ = try await world.acquiring(try key()).value.get()
        world.time.advance(by: .seconds(1))
        let used = try #require(world.manager.gauges().collections.first { $0.name == .rateBuckets })
        #expect(used.entries == 1 && used.limit == 10_000)
        #expect(used.oldestIdle == .seconds(1) && used.idleLimit == .seconds(4))
        world.time.advance(by: .seconds(1))
        let empty = try #require(world.manager.gauges().collections.first { $0.name == .rateBuckets })
        #expect(empty.entries == 0 && empty.oldestIdle == .zero)
    }

    @Test func `a refusal by a limit costs no token, and a retry no second one`() async throws {
        let world = Self.rated {
            $0.limits = SlotLimits(perUser: 1, total: 5)
            $0.creationRate = CreationRate(perMinute: 1, burst: 1)
        }
        world.provider.script(.create, .fail(Failures.http(503)))
        let task = world.acquiring(try key("ann", "p1"))
        #expect(await world.passing(.milliseconds(100)) { task.isDone })
        #expect(try await task.value.get().source == .created)
        #expect(world.provider.count(of: .create) == 2)
        let error = await #expect(throws: ManagerError.self) {
            try await world.acquiring(try key("ann", "p2")).value.get()
        }
        #expect(error?.reason == .userLimit)
        #expect(world.observer.record.rateLimited.isEmpty)
        await world.expectQuiet()
    }

    @Test func `T5 after a refusal for the rate no create is sent before its time, whoever asks`() async throws {
        let world = World { $0.createRetries = 0 }
        let failure = ProviderError(.create, .rateLimited, "slow down", effect: .none, retryAfter: .seconds(7))
        world.provider.script(.create, .fail(failure))
        await #expect(throws: ManagerError.self) { try await world.acquiring(try key("ann")).value.get() }
        world.time.advance(by: .seconds(3))
        let error = await #expect(throws: ManagerError.self) { try await world.acquiring(try key("ben")).value.get() }
        #expect(error?.reason == .providerRateLimited && error?.retryAfter == .seconds(4))
        #expect(world.provider.count(of: .create) == 1)
        #expect(world.observer.record.rateLimited == [.global: 1])
        #expect(world.store.usage() == StoreUsage())
        world.time.advance(by: .seconds(4))
        #expect(try await world.acquiring(try key("ben")).value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `T5 a limit of concurrency is not retried, holds creates back, and ends with a sandbox`() async throws {
        let world = World()
        _ = try await world.acquiring(try key("old")).value.get()
        let failure = ProviderError(.create, .concurrencyLimit, "too many", effect: .none)
        world.provider.script(.create, .fail(failure))
        for user in ["ann", "ben"] {
            let error = await #expect(throws: ManagerError.self) {
                try await world.acquiring(try key(user)).value.get()
            }
            #expect(error?.reason == .providerQuota && error?.retryAfter == .seconds(5))
        }
        #expect(world.provider.count(of: .create) == 2 && world.observer.record.retries.isEmpty)
        #expect(try await world.manager.release(try key("old")) == .released)
        #expect(try await world.acquiring(try key("ann")).value.get().source == .created)
        await world.expectQuiet()
    }

    @Test func `T5 when everything fails, retries end with their budget`() async throws {
        let world = World {
            $0.createRetries = 5
            $0.createRetryDelay = .milliseconds(100)
            $0.breaker.minimumCalls = 1000
        }
        world.provider.always(.create, .fail(Failures.http(503)))
        for user in ["ann", "ben", "cleo"] {
            let task = world.acquiring(try key(user))
            #expect(await world.passing(.seconds(1)) { task.isDone })
            let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
            #expect(error?.reason == .providerUnavailable)
        }
        #expect(world.provider.count(of: .create) == 6 + 6 + 1)
        #expect(world.observer.record.retries == [.create: [.http5xx: 10]])
        #expect(world.observer.record.exhausted == [.create: 3])
        #expect(world.manager.gauges().retryBudget == 0)
        #expect(world.store.usage() == StoreUsage())
        await world.expectQuiet()
    }
}
