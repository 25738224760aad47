internal import Synchronization

// Whether a creation may be sent now: the user's rate, the provider's limits, the budget of retries.

extension SandboxManager {
    /// Asked before every attempt. The first one takes a token of the user; a retry is the same creation.
    func admitAttempt(_ key: LeaseKey, isFirst: Bool) async throws(ManagerError) {
        let now = runtime.time.now()
        if let refusal = pacer.withLock({ $0.refusal(now: now) }) {
            observer.rateLimited(.global)
            throw ManagerError(refusal)
        }
        guard isFirst else { return }
        try await phase(.rateLimit) { () async throws(ManagerError) in
            let (decision, evicted) = rates.withLock { $0.take(key.user, now: now) }
            for _ in 0..<evicted { observer.collectionEvicted(.rateBuckets, .capacity) }
            guard case .denied(let wait) = decision else { return }
            observer.rateLimited(.user)
            counters.rejected.increment()
            note(key, "refused: the user creates too fast")
            throw .rateLimited(retryAfter: wait)
        }
        retryBudget.withLock { $0.deposit() }
    }

    /// Draws the conclusions of an attempt that failed.
    ///
    /// - Returns: The failure, with the wait that its kind asks for.
    func learn(from failure: ProviderError, _ key: LeaseKey, isFirst: Bool) -> ProviderError {
        let now = runtime.time.now()
        // Nothing was sent: the user has not created anything.
        if failure.kind == .breakerOpen, isFirst { rates.withLock { $0.giveBack(key.user, now: now) } }
        pacer.withLock { $0.refused(failure, now: now) }
        var failure = failure
        failure.retryAfter = failure.limitPause ?? failure.retryAfter
        return failure
    }

    /// The pause before the next attempt of a creation; `nil` if there is none, because it would not help, because of
    /// the schedule, or because all retries together are too many.
    func retryPause(
        _ schedule: inout RetrySchedule,
        after failure: ProviderError,
        isWanted: Bool
    ) -> Duration? {
        let step = schedule.next(
            isRetryable: failure.isRetryable && isWanted,
            wish: failure.retryAfter,
            now: runtime.time.now(),
            fraction: runtime.random.nextFraction()
        )
        if case .retry(let pause) = step, retryBudget.withLock({ $0.withdraw() }) {
            observer.retried(.create, because: failure.retryReason ?? .reset)
            return pause
        }
        if schedule.hasRetried, failure.isRetryable { observer.retriesExhausted(.create) }
        return nil
    }
}
