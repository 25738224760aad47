/// Why a call to a provider failed.
public struct ProviderError: Error, Sendable, Hashable {
    /// What went wrong, as far as a caller can act on it.
    public enum Kind: Sendable, Hashable {
        /// No answer in time.
        case timedOut(after: Duration)
        /// The host name was not resolved.
        case dns
        /// Nobody listens.
        case refused
        /// The connection broke.
        case reset
        /// No trust in the peer.
        case tls
        /// The provider answered with an error status that has no kind of its own here.
        case http(status: Int)
        /// 429: as many sandboxes as the account may have.
        case concurrencyLimit
        /// 429: too many requests.
        case rateLimited
        /// The sandbox does not exist (404 that means it).
        case gone
        /// The answer made no sense.
        case malformed
        /// We gave up.
        case cancelled
        /// This provider cannot do that.
        case unsupported
        /// The provider cannot work on this machine or at this moment.
        case unavailable
        /// The circuit breaker kept the call from a provider that fails; nothing was sent.
        case breakerOpen
    }

    /// Whether the call may have taken effect nevertheless.
    public enum Effect: Sendable, Hashable {
        /// It surely did not.
        case none
        /// Nobody knows: the request was sent and no verdict came back.
        case unknown
    }

    /// Which call.
    public var operation: ProviderOperation
    /// What went wrong.
    public var kind: Kind
    /// Words for a human, without secrets.
    public var detail: String
    /// How long the provider asked us to wait.
    public var retryAfter: Duration?
    /// Whether it may have taken effect.
    public var effect: Effect

    /// Bundles the failure.
    public init(
        _ operation: ProviderOperation,
        _ kind: Kind,
        _ detail: String,
        effect: Effect,
        retryAfter: Duration? = nil
    ) {
        self.operation = operation
        self.kind = kind
        self.detail = detail
        self.effect = effect
        self.retryAfter = retryAfter
    }

    /// Whether another attempt may help. The caller still has to mind ``effect``.
    public var isRetryable: Bool { retryReason != nil }

    /// Why another attempt may help; `nil` for what no repetition mends (T5).
    public var retryReason: RetryReason? {
        switch kind {
        case .timedOut: .timedOut
        case .refused, .dns: .refused
        case .reset: .reset
        case .rateLimited: .http429
        // A concurrency limit lifts only when something ends: asking again at once only adds load.
        case .concurrencyLimit: nil
        case .http(let status): status >= 500 ? .http5xx : nil
        case .malformed: .http5xx
        case .tls, .gone, .cancelled, .unsupported, .unavailable, .breakerOpen: nil
        }
    }

    /// The metric label of this failure.
    public var result: ProviderResult {
        switch kind {
        case .timedOut: .timedOut
        case .dns: .dns
        case .refused: .refused
        case .reset: .reset
        case .tls: .tls
        case .concurrencyLimit: .http429Concurrency
        case .rateLimited: .http429Rate
        case .gone: .http404
        case .malformed, .unsupported: .malformed
        // Never counted, as nothing was sent.
        case .cancelled, .breakerOpen: .cancelled
        case .unavailable: .http5xx
        case .http(let status):
            switch status {
            case 400: .http400
            case 401: .http401
            case 403: .http403
            case 404: .http404
            case 409: .http409
            case 500...: .http5xx
            case 400..<500: .http400
            default: .malformed
            }
        }
    }

    /// What this failure tells of the provider's health: an answer of its own is none, whatever it says.
    var breakerOutcome: CircuitBreaker.Outcome {
        switch kind {
        case .timedOut, .dns, .refused, .reset, .tls, .malformed, .unavailable: .failed
        case .http(let status): (400..<500).contains(status) ? .refused : .failed
        case .concurrencyLimit, .rateLimited, .gone: .refused
        case .cancelled, .unsupported, .breakerOpen: .neutral
        }
    }
}
