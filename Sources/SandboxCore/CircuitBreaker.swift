/// When calls are kept from an upstream that fails, and when they are tried again.
public struct BreakerPolicy: Sendable, Hashable {
    /// The share of failed or slow calls that opens the breaker; above 0, at most 1.
    public var failureRatio = 0.5
    /// From when on a call counts as slow.
    public var slowCall: Duration = .seconds(10)
    /// Calls that must have ended within the window before the breaker may open.
    public var minimumCalls = 10
    /// How long it stays open before it tries again.
    public var open: Duration = .seconds(15)

    /// The defaults.
    public init() {}
}

/// Keeps calls from an upstream that fails, so that callers learn at once and the upstream has time to recover.
///
/// A pure value: time is handed in, and never runs backwards in here. Closed, it counts how calls end. Open, it refuses
/// them all. Half open, it lets a few through: the first that ends well closes it, one that does not opens it again.
struct CircuitBreaker {
    /// How a call ended, for the breaker.
    enum Outcome {
        /// As wished; still a bad sign if it took too long.
        case succeeded
        /// The upstream answered that it would not (4xx), which is no failure of it.
        case refused
        case failed
        /// It says nothing about the upstream.
        case neutral
    }

    /// Leave to make one call. Its end has to be told, exactly once.
    struct Pass: Equatable {
        fileprivate var round: Int
        fileprivate var start: MonotonicInstant
    }

    enum Decision: Equatable {
        case call(Pass)
        case refuse(retryAfter: Duration)
    }

    private enum Phase {
        case closed(Window)
        case open(until: MonotonicInstant)
        /// Trials under way, and when the first of them began.
        case halfOpen(trials: Int, since: MonotonicInstant?)
    }

    /// How many calls may be under way at once while it is half open.
    static let trialLimit = 3
    /// What whoever is refused is told while trials are under way.
    static let trialPause: Duration = .seconds(1)

    private let policy: BreakerPolicy
    private var phase = Phase.closed(Window())
    /// Grows with every change: how a call of an earlier round ends says nothing about this one.
    private var round = 0
    private var latest: MonotonicInstant?

    init(_ policy: BreakerPolicy) { self.policy = policy }

    var state: BreakerState {
        switch phase {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    /// Lets time pass: an open breaker becomes half open by itself.
    mutating func advance(to now: MonotonicInstant) {
        let now = clamped(now)
        if case .open(let until) = phase, now >= until { change(to: .halfOpen(trials: 0, since: nil)) }
    }

    /// Asks for leave to make a call.
    mutating func admit(now: MonotonicInstant) -> Decision {
        advance(to: now)
        let now = clamped(now)
        switch phase {
        case .closed:
            return .call(Pass(round: round, start: now))
        case .open(let until):
            return .refuse(retryAfter: until - now)
        case .halfOpen(_, let since?) where now - since >= policy.slowCall:
            // A trial that takes so long is a failure already.
            reopen(now)
            return .refuse(retryAfter: policy.open)
        case .halfOpen(let trials, let since):
            guard trials < Self.trialLimit else { return .refuse(retryAfter: Self.trialPause) }
            phase = .halfOpen(trials: trials + 1, since: since ?? now)
            return .call(Pass(round: round, start: now))
        }
    }

    /// Takes in how a call ended. A failure counts, and so does a success that took too long.
    mutating func ended(_ pass: Pass, _ outcome: Outcome, now: MonotonicInstant) {
        let now = clamped(now)
        guard pass.round == round else { return }
        let isBad = outcome == .failed || (outcome == .succeeded && now - pass.start >= policy.slowCall)
        switch phase {
        case .closed(var window):
            guard outcome != .neutral else { return }
            window.count(isBad: isBad, now: now)
            phase = .closed(window)
            let isEnough = window.calls >= policy.minimumCalls
            if isEnough, Double(window.bad) >= policy.failureRatio * Double(window.calls) { reopen(now) }
        case .halfOpen(let trials, let since):
            switch (outcome, isBad) {
            case (.neutral, _): phase = .halfOpen(trials: trials - 1, since: trials == 1 ? nil : since)
            case (_, true): reopen(now)
            case (_, false): change(to: .closed(Window()))
            }
        case .open:
            // No leave is given while it is open, so none is of such a round.
            break
        }
    }

    private mutating func reopen(_ now: MonotonicInstant) { change(to: .open(until: now + policy.open)) }

    private mutating func change(to phase: Phase) {
        self.phase = phase
        round += 1
    }

    private mutating func clamped(_ now: MonotonicInstant) -> MonotonicInstant {
        let clamped = max(now, latest ?? now)
        latest = clamped
        return clamped
    }
}

extension CircuitBreaker {
    /// The calls of the last minute, forgotten in slices: its size does not depend on how many there were.
    private struct Window {
        private struct Slice {
            var number: Int64
            var calls = 0
            var bad = 0
        }

        private static let sliceSeconds: Int64 = 6
        private static let sliceCount: Int64 = 10

        private var slices: [Slice] = []

        var calls: Int { slices.reduce(0) { $0 + $1.calls } }
        var bad: Int { slices.reduce(0) { $0 + $1.bad } }

        mutating func count(isBad: Bool, now: MonotonicInstant) {
            let number = now.sinceZero.components.seconds / Self.sliceSeconds
            slices.removeAll { $0.number <= number - Self.sliceCount }
            if slices.last?.number != number { slices.append(Slice(number: number)) }
            let last = slices.count - 1
            slices[last].calls += 1
            if isBad { slices[last].bad += 1 }
        }
    }
}
