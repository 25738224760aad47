import Testing

@testable import SandboxCore

@Suite struct CircuitBreakerTests {
    /// A breaker under a test's hand; a class, as expectations cannot change values.
    final class Tester {
        private(set) var breaker: CircuitBreaker

        init(_ change: (inout BreakerPolicy) -> Void = { _ in }) {
            var policy = BreakerPolicy()
            change(&policy)
            breaker = CircuitBreaker(policy)
        }

        /// Makes a call that takes `seconds`; `false` if it was refused.
        @discardableResult
        func call(_ outcome: CircuitBreaker.Outcome, at start: Double, taking seconds: Double = 0) -> Bool {
            guard case .call(let pass) = breaker.admit(now: .at(start)) else { return false }
            breaker.ended(pass, outcome, now: .at(start + seconds))
            return true
        }

        /// Makes calls side by side.
        func call(_ outcome: CircuitBreaker.Outcome, count: Int, taking seconds: Double) {
            let decisions = (0..<count).map { _ in admit(at: 0) }
            for case .call(let pass) in decisions { ended(pass, outcome, at: seconds) }
        }

        func admit(at now: Double) -> CircuitBreaker.Decision { breaker.admit(now: .at(now)) }

        func ended(_ pass: CircuitBreaker.Pass, _ outcome: CircuitBreaker.Outcome, at now: Double) {
            breaker.ended(pass, outcome, now: .at(now))
        }

        func advance(to now: Double) { breaker.advance(to: .at(now)) }

        /// Opens it: ten failures at `start`.
        func open(at start: Double) {
            for _ in 0..<10 { call(.failed, at: start) }
        }
    }

    @Test func `it opens when half of at least ten calls failed, not before`() {
        let tester = Tester()
        for number in 0..<4 { tester.call(.succeeded, at: Double(number)) }
        for number in 4..<9 { tester.call(.failed, at: Double(number)) }
        #expect(tester.breaker.state == .closed, "nine calls are too few, whatever their share")
        tester.call(.succeeded, at: 9)
        #expect(tester.breaker.state == .open, "five of ten")
    }

    @Test func `a share below the ratio leaves it closed`() {
        let tester = Tester()
        for number in 0..<100 { tester.call(number % 9 > 4 ? .failed : .succeeded, at: 1) }
        #expect(tester.breaker.state == .closed)
    }

    @Test func `slow successes count as failures, from the limit on`() {
        let fast = Tester()
        fast.call(.succeeded, count: 20, taking: 9.999)
        #expect(fast.breaker.state == .closed)
        let slow = Tester()
        slow.call(.succeeded, count: 10, taking: 10)
        #expect(slow.breaker.state == .open)
    }

    @Test func `what the provider refuses and what says nothing never opens it, however slow`() {
        let tester = Tester()
        tester.call(.refused, count: 50, taking: 20)
        tester.call(.neutral, count: 50, taking: 20)
        #expect(tester.breaker.state == .closed)
        for _ in 0..<49 { tester.call(.failed, at: 20) }
        #expect(tester.breaker.state == .closed, "refusals count as calls, the neutral do not")
        tester.call(.failed, at: 20)
        #expect(tester.breaker.state == .open)
    }

    @Test func `failures of more than a minute ago are forgotten`() {
        let tester = Tester()
        for _ in 0..<9 { tester.call(.failed, at: 0) }
        tester.call(.failed, at: 60)
        #expect(tester.breaker.state == .closed)
        for _ in 0..<8 { tester.call(.failed, at: 61) }
        #expect(tester.breaker.state == .closed)
        tester.call(.failed, at: 62)
        #expect(tester.breaker.state == .open)
    }

    @Test func `open it refuses every call at once and says for how long`() {
        let tester = Tester()
        tester.open(at: 100)
        #expect(tester.admit(at: 100) == .refuse(retryAfter: .seconds(15)))
        #expect(tester.admit(at: 112.5) == .refuse(retryAfter: .seconds(2.5)))
        #expect(tester.breaker.state == .open)
    }

    @Test func `after its time a few trials go through; the first success closes it with a clean slate`() {
        let tester = Tester()
        tester.open(at: 0)
        var passes: [CircuitBreaker.Pass] = []
        for _ in 0..<CircuitBreaker.trialLimit {
            if case .call(let pass) = tester.admit(at: 15) { passes.append(pass) }
        }
        #expect(passes.count == CircuitBreaker.trialLimit && tester.breaker.state == .halfOpen)
        #expect(tester.admit(at: 15) == .refuse(retryAfter: CircuitBreaker.trialPause))
        tester.ended(passes[0], .succeeded, at: 16)
        #expect(tester.breaker.state == .closed)
        // The other trials belong to a round that is over.
        tester.ended(passes[1], .failed, at: 16)
        for _ in 0..<9 { tester.call(.failed, at: 16) }
        #expect(tester.breaker.state == .closed)
    }

    @Test(arguments: [CircuitBreaker.Outcome.succeeded, .failed])
    func `a trial that fails, or succeeds too late, opens it again`(outcome: CircuitBreaker.Outcome) {
        let tester = Tester()
        tester.open(at: 0)
        #expect(tester.call(outcome, at: 15, taking: 10))
        #expect(tester.breaker.state == .open)
        #expect(tester.admit(at: 39) == .refuse(retryAfter: .seconds(1)))
        #expect(tester.call(.succeeded, at: 40))
        #expect(tester.breaker.state == .closed)
    }

    @Test func `a refusal of the provider is an answer, and closes it`() {
        let tester = Tester()
        tester.open(at: 0)
        tester.call(.refused, at: 15)
        #expect(tester.breaker.state == .closed)
    }

    @Test func `trials that say nothing give their place back`() {
        let tester = Tester()
        tester.open(at: 0)
        for _ in 0..<10 {
            #expect(tester.call(.neutral, at: 15))
            #expect(tester.breaker.state == .halfOpen)
        }
    }

    @Test func `trials that hang are failures as soon as they are slow`() {
        let tester = Tester()
        tester.open(at: 0)
        guard case .call(let hung) = tester.admit(at: 15) else {
            Issue.record("no trial")
            return
        }
        #expect(tester.admit(at: 25) == .refuse(retryAfter: .seconds(15)))
        #expect(tester.breaker.state == .open)
        tester.ended(hung, .succeeded, at: 26)
        #expect(tester.breaker.state == .open, "it is of a round that is over")
    }

    @Test func `calls begun before it opened tell it nothing afterwards`() {
        let tester = Tester()
        guard case .call(let early) = tester.admit(at: 0) else {
            Issue.record("no pass")
            return
        }
        tester.open(at: 0)
        tester.advance(to: 15)
        #expect(tester.breaker.state == .halfOpen)
        tester.ended(early, .succeeded, at: 15)
        #expect(tester.breaker.state == .halfOpen)
    }

    @Test func `T13 time never runs backwards in it`() {
        let tester = Tester()
        tester.open(at: 100)
        #expect(tester.admit(at: 0) == .refuse(retryAfter: .seconds(15)))
        tester.advance(to: 115)
        #expect(tester.breaker.state == .halfOpen)
        tester.advance(to: 50)
        #expect(tester.call(.succeeded, at: 50) && tester.breaker.state == .closed)
    }

    @Test(arguments: 0..<50) func `it refuses only while open or full of trials`(seed: UInt64) {
        var random = Random(seed: seed)
        var breaker = CircuitBreaker(BreakerPolicy())
        var now = 0.0
        var underWay: [CircuitBreaker.Pass] = []
        for _ in 0..<2000 {
            now += Double(random.below(2000)) / 1000
            let before = breaker.state
            if underWay.isEmpty || random.below(2) == 0 {
                switch breaker.admit(now: .at(now)) {
                case .call(let pass):
                    #expect(breaker.state != .open)
                    underWay.append(pass)
                case .refuse(let wait):
                    #expect(breaker.state != .closed && wait > .zero && wait <= .seconds(15))
                }
            } else {
                let pass = underWay.remove(at: random.below(underWay.count))
                let outcomes: [CircuitBreaker.Outcome] = [.succeeded, .refused, .failed, .failed, .neutral]
                breaker.ended(pass, outcomes[random.below(outcomes.count)], now: .at(now))
            }
            if before == .closed { #expect(breaker.state != .halfOpen, "it opens before it is tried") }
        }
    }
}

/// Small and seeded.
private struct Random {
    var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
    }
}
