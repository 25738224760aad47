/// When to try again: bounded exponential backoff with full jitter, one overall deadline, the upstream's wish obeyed.
struct RetrySchedule {
    /// What to do after a failure.
    enum Step: Equatable {
        case retry(after: Duration)
        case giveUp
    }

    private let retries: Int
    private let baseDelay: Duration
    private let largestDelay: Duration
    private let deadline: MonotonicInstant
    private var attempts = 0

    /// - Parameters:
    ///   - retries: Attempts after the first.
    ///   - baseDelay: Bound of the first pause; doubles with each attempt.
    ///   - largestDelay: No pause is longer, but for the upstream's wish.
    ///   - deadline: No attempt starts later.
    init(retries: Int, baseDelay: Duration, largestDelay: Duration = .seconds(30), deadline: MonotonicInstant) {
        self.retries = retries
        self.baseDelay = baseDelay
        self.largestDelay = largestDelay
        self.deadline = deadline
    }

    /// Whether anything was tried again.
    var hasRetried: Bool { attempts > 0 }

    /// Decides after a failed attempt.
    ///
    /// - Parameters:
    ///   - isRetryable: Whether another attempt may help.
    ///   - wish: How long the upstream asked us to wait.
    ///   - now: The present.
    ///   - fraction: A random number in `0 ..< 1`.
    /// - Returns: Whether to try again, and after which pause.
    mutating func next(isRetryable: Bool, wish: Duration?, now: MonotonicInstant, fraction: Double) -> Step {
        guard isRetryable, attempts < retries else { return .giveUp }
        let bound = min(baseDelay * (1 << min(attempts, 16)), largestDelay)
        attempts += 1
        // Full jitter spreads the herd; a wish is a floor, the jitter goes on top of it.
        let jittered = bound * fraction
        let delay = wish.map { $0 + jittered } ?? jittered
        return now + delay < deadline ? .retry(after: delay) : .giveUp
    }
}
