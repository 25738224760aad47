import Testing

@testable import SandboxCore

@Suite struct CreationRateLimiterTests {
    /// A limiter under a test's hand; a class, as expectations cannot change values.
    final class Tester {
        private var limiter: CreationRateLimiter

        init(_ rate: CreationRate, limit: Int = CreationRateLimiter.bucketLimit) {
            limiter = CreationRateLimiter(rate, limit: limit)
        }

        var count: Int { limiter.count }
        var longestIdle: Duration { limiter.longestIdle }

        func take(_ user: String, at now: Double) -> CreationRateLimiter.Decision {
            limiter.take(user, now: .at(now)).decision
        }

        func evictions(taking user: String, at now: Double) -> Int { limiter.take(user, now: .at(now)).evicted }

        func giveBack(_ user: String, at now: Double) { limiter.giveBack(user, now: .at(now)) }

        func wait(_ user: String, at now: Double) -> Duration { limiter.wait(of: user, now: .at(now)) }

        func oldestIdle(at now: Double) -> Duration { limiter.oldestIdle(now: .at(now)) }

        /// How many tokens there were.
        func takeAll(_ user: String, at now: Double) -> Int {
            var count = 0
            while take(user, at: now) == .granted { count += 1 }
            return count
        }
    }

    private static let rate = CreationRate(perMinute: 30, burst: 10)

    @Test func `a burst is granted, then one every two seconds, and the wait is exact`() {
        let limiter = Tester(Self.rate)
        #expect(limiter.takeAll("ann", at: 0) == 10)
        #expect(limiter.take("ann", at: 0) == .denied(retryAfter: .seconds(2)))
        #expect(limiter.take("ann", at: 1.25) == .denied(retryAfter: .seconds(0.75)))
        #expect(limiter.take("ann", at: 2) == .granted)
        #expect(limiter.take("ann", at: 2) == .denied(retryAfter: .seconds(2)))
        #expect(limiter.takeAll("ann", at: 9) == 3)
    }

    @Test func `asking for the wait takes nothing`() {
        let limiter = Tester(Self.rate)
        #expect(limiter.wait("ann", at: 0) == .zero && limiter.count == 0)
        #expect(limiter.takeAll("ann", at: 0) == 10)
        #expect(limiter.wait("ann", at: 0) == .seconds(2))
        #expect(limiter.wait("ann", at: 1.5) == .seconds(0.5))
        #expect(limiter.wait("ann", at: 2) == .zero)
        #expect(limiter.take("ann", at: 2) == .granted)
        #expect(Tester(.unlimited).wait("ann", at: 0) == .zero)
    }

    @Test func `a pause saves up no more than a burst`() {
        let limiter = Tester(Self.rate)
        #expect(limiter.takeAll("ann", at: 0) == 10)
        #expect(limiter.takeAll("ann", at: 100_000) == 10)
    }

    @Test func `users do not take from each other`() {
        let limiter = Tester(Self.rate)
        #expect(limiter.takeAll("ann", at: 0) == 10)
        #expect(limiter.takeAll("ben", at: 0) == 10)
    }

    @Test(arguments: [CreationRate(perMinute: 0, burst: 10), CreationRate(perMinute: 30, burst: 0)])
    func `zero switches it off`(rate: CreationRate) {
        let limiter = Tester(rate)
        for _ in 0..<1000 { #expect(limiter.take("ann", at: 0) == .granted) }
        #expect(limiter.count == 0 && limiter.longestIdle == .zero)
    }

    @Test func `a token given back can be taken again, and no more than a burst comes of it`() {
        let limiter = Tester(CreationRate(perMinute: 30, burst: 1))
        #expect(limiter.take("ann", at: 0) == .granted)
        limiter.giveBack("ann", at: 0)
        #expect(limiter.count == 0)
        limiter.giveBack("ann", at: 0)
        #expect(limiter.takeAll("ann", at: 0) == 1)
    }

    @Test func `I6 full buckets are removed, and none lies longer than it takes to fill it`() {
        let limiter = Tester(Self.rate)
        _ = limiter.takeAll("ann", at: 0)
        for number in 0..<100 { _ = limiter.take("user-\(number)", at: 1) }
        #expect(limiter.count == 101 && limiter.longestIdle == .seconds(20))
        #expect(limiter.oldestIdle(at: 19) == .seconds(19))
        #expect(limiter.oldestIdle(at: 20) == .zero)
        #expect(limiter.count == 0)
    }

    @Test func `I6 beyond its bound the one touched longest ago is dropped, and counted`() {
        let limiter = Tester(CreationRate(perMinute: 1, burst: 1), limit: 3)
        for (number, user) in ["a", "b", "c"].enumerated() {
            #expect(limiter.evictions(taking: user, at: Double(number)) == 0)
        }
        #expect(limiter.evictions(taking: "d", at: 3) == 1)
        #expect(limiter.count == 3)
        #expect(limiter.take("b", at: 3) != .granted)
        #expect(limiter.evictions(taking: "a", at: 3) == 1, "a was dropped, so its bucket is full")
    }

    @Test func `asking again and again keeps nothing alive and nothing growing`() {
        let limiter = Tester(Self.rate)
        for step in 0..<10_000 { _ = limiter.take("ann", at: Double(step) / 1000) }
        #expect(limiter.count == 1)
        #expect(limiter.oldestIdle(at: 1000) == .zero && limiter.count == 0)
    }

    @Test func `T13 time never runs backwards in it`() {
        let limiter = Tester(Self.rate)
        #expect(limiter.takeAll("ann", at: 100) == 10)
        #expect(limiter.take("ann", at: 0) == .denied(retryAfter: .seconds(2)))
        #expect(limiter.oldestIdle(at: 0) == .zero)
    }

    @Test func `its bound holds for any number of users`() {
        let limiter = Tester(CreationRate(perMinute: 1, burst: 2))
        var evicted = 0
        for number in 0..<25_000 { evicted += limiter.evictions(taking: "user-\(number)", at: 0) }
        #expect(limiter.count == 10_000 && evicted == 15_000)
    }
}

@Suite struct RetryBudgetTests {
    @Test func `T5 what was saved bridges ten retries, then one call in ten may be one`() {
        var budget = RetryBudget()
        var granted = 0
        while budget.withdraw() { granted += 1 }
        #expect(granted == 10 && budget.retries == 0)
        for _ in 0..<9 { budget.deposit() }
        var isGranted = budget.withdraw()
        #expect(!isGranted)
        budget.deposit()
        isGranted = budget.withdraw()
        #expect(isGranted && budget.retries == 0)
    }

    @Test func `no more than ten are saved up`() {
        var budget = RetryBudget()
        for _ in 0..<1000 { budget.deposit() }
        #expect(budget == RetryBudget() && budget.retries == 10)
    }
}

@Suite struct CreationPacerTests {
    private static func limit(_ kind: ProviderError.Kind, _ wish: Duration? = nil) -> ProviderError {
        ProviderError(.create, kind, "429", effect: .none, retryAfter: wish)
    }

    @Test func `T5 after a refusal nothing is sent before the provider's wish is over`() {
        var pacer = CreationPacer()
        #expect(pacer.refusal(now: .at(0)) == nil)
        pacer.refused(Self.limit(.rateLimited, .seconds(7)), now: .at(0))
        let refusal = pacer.refusal(now: .at(6))
        #expect(refusal?.kind == .rateLimited && refusal?.retryAfter == .seconds(1))
        #expect(refusal?.effect == ProviderError.Effect.none)
        #expect(pacer.refusal(now: .at(7)) == nil)
    }

    @Test func `T5 without a wish it is a few seconds`() {
        #expect(Self.limit(.rateLimited).limitPause == .seconds(2))
        #expect(Self.limit(.concurrencyLimit).limitPause == .seconds(5))
        #expect(Failures.http(503).limitPause == nil)
    }

    @Test func `a later refusal shortens nothing`() {
        var pacer = CreationPacer()
        pacer.refused(Self.limit(.rateLimited, .seconds(30)), now: .at(0))
        pacer.refused(Self.limit(.rateLimited), now: .at(1))
        pacer.refused(Self.limit(.concurrencyLimit), now: .at(1))
        pacer.refused(Failures.http(503), now: .at(1))
        pacer.sandboxEnded()
        #expect(pacer.refusal(now: .at(29))?.retryAfter == .seconds(1))
    }

    @Test func `a sandbox that ended lifts a limit of concurrency, not one of the rate`() {
        var pacer = CreationPacer()
        pacer.refused(Self.limit(.concurrencyLimit), now: .at(0))
        pacer.sandboxEnded()
        #expect(pacer.refusal(now: .at(0)) == nil)
        pacer.refused(Self.limit(.rateLimited), now: .at(0))
        pacer.sandboxEnded()
        #expect(pacer.refusal(now: .at(0)) != nil)
    }
}
