/// Holds all creates back for as long as the provider wishes after it answered 429 (T5).
///
/// A pure value. A limit of the rate is over when its time is; a limit of concurrency may be over as soon as a sandbox
/// has ended.
struct CreationPacer {
    private var rateLimitedUntil: MonotonicInstant?
    private var concurrencyLimitedUntil: MonotonicInstant?

    /// A create was refused.
    mutating func refused(_ error: ProviderError, now: MonotonicInstant) {
        guard let wait = error.limitPause else { return }
        let until = now + wait
        if error.kind == .rateLimited {
            rateLimitedUntil = max(until, rateLimitedUntil ?? until)
        } else {
            concurrencyLimitedUntil = max(until, concurrencyLimitedUntil ?? until)
        }
    }

    /// A sandbox of the account is known to have ended.
    mutating func sandboxEnded() { concurrencyLimitedUntil = nil }

    /// What a create is refused with at `now`; `nil` if it may be sent.
    func refusal(now: MonotonicInstant) -> ProviderError? {
        if let until = rateLimitedUntil, now < until { return Self.refusal(.rateLimited, until - now) }
        if let until = concurrencyLimitedUntil, now < until { return Self.refusal(.concurrencyLimit, until - now) }
        return nil
    }

    private static func refusal(_ kind: ProviderError.Kind, _ wait: Duration) -> ProviderError {
        let words = "the provider asked for fewer creations, so none is sent for a moment"
        return ProviderError(.create, kind, words, effect: .none, retryAfter: wait)
    }
}

extension ProviderError {
    /// How long no create is sent after this refusal; `nil` for what is no refusal by a limit. Without a wish of the
    /// provider at least a few seconds: asking again at once only adds load.
    var limitPause: Duration? {
        switch kind {
        case .rateLimited: retryAfter ?? .seconds(2)
        case .concurrencyLimit: retryAfter ?? .seconds(5)
        default: nil
        }
    }
}
