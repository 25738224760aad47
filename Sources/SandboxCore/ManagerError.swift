/// Why the manager refused or failed.
///
/// ``reason`` is the closed set that metrics and problem documents show; the payloads are what a caller can act on.
public enum ManagerError: Error, Sendable, Hashable {
    /// What was being waited for when time ran out.
    public enum TimedOperation: Sendable, Hashable {
        case healthCheck, connect, create, kill, exec
        /// The request as a whole, wherever it was.
        case request
    }

    /// The caller's input is wrong; the text says which part and why.
    case invalidArgument(String)
    /// The key has no lease.
    case notFound
    /// The lease was ended or replaced while this request was working on it.
    case staleEpoch
    /// No slot is free.
    case limited(LimitDenial)
    /// The user creates too fast.
    case rateLimited(retryAfter: Duration)
    /// Time ran out.
    case timedOut(operation: TimedOperation, after: Duration)
    /// The sandbox could not be reached; it may well live.
    case unreachable(String)
    /// The sandbox answered that it is not well.
    case unhealthy(String)
    /// The sandbox ended meanwhile.
    case gone
    /// The provider refused or failed.
    case provider(ProviderError)
    /// The circuit breaker keeps calls from an upstream that fails.
    case breakerOpen(retryAfter: Duration)
    /// The shared store cannot be asked, and the configuration says to refuse then.
    case storeUnavailable(String)
    /// The process is shutting down.
    case draining
    /// An operator wants no sandbox to be made; leases that exist are served.
    case creationsStopped
    /// A queue is full.
    case overloaded
    /// The user's own released sandbox still holds the slot.
    case releasing(retryAfter: Duration)
    /// Another replica is creating for this key and did not finish in time.
    case creationInProgress(retryAfter: Duration)
    /// The provider cannot do that.
    case unsupported(String)
    /// The caller gave up (Swift API only).
    case cancelled
    /// Our own fault.
    case `internal`(String)

    /// A provider's failure as the manager's.
    init(_ error: ProviderError) {
        if error.kind == .breakerOpen {
            self = .breakerOpen(retryAfter: error.retryAfter ?? .seconds(1))
        } else {
            self = .provider(error)
        }
    }

    /// The closed-set name.
    public var reason: ErrorReason {
        switch self {
        case .invalidArgument: .invalidArgument
        case .notFound: .notFound
        case .staleEpoch: .staleEpoch
        case .limited(let denial): denial.scope == .user ? .userLimit : .totalLimit
        case .rateLimited: .rateLimited
        case .timedOut(let operation, _): Self.reason(timedOut: operation)
        case .unreachable: .healthCheckUnreachable
        case .unhealthy: .healthCheckUnhealthy
        case .gone: .sandboxGone
        case .provider(let error): Self.reason(of: error)
        case .breakerOpen: .breakerOpen
        case .storeUnavailable: .storeUnavailable
        case .draining, .creationsStopped: .draining
        case .overloaded: .overloaded
        case .releasing: .releasing
        case .creationInProgress: .creationInProgress
        case .unsupported: .unsupported
        case .cancelled: .cancelled
        case .internal: .internal
        }
    }

    /// When it is worth asking again; `nil` where nobody can tell.
    public var retryAfter: Duration? {
        switch self {
        case .limited(let denial): denial.retryAfter
        case .rateLimited(let wait), .breakerOpen(let wait), .releasing(let wait), .creationInProgress(let wait): wait
        case .provider(let error): error.retryAfter
        case .draining, .overloaded, .storeUnavailable: .seconds(1)
        case .creationsStopped: .seconds(30)
        default: nil
        }
    }

    private static func reason(timedOut operation: TimedOperation) -> ErrorReason {
        switch operation {
        case .healthCheck: .healthCheckTimedOut
        case .connect: .connectTimedOut
        case .create: .createTimedOut
        case .kill: .killTimedOut
        case .exec: .execTimedOut
        case .request: .deadlineExceeded
        }
    }

    private static func reason(of error: ProviderError) -> ErrorReason {
        switch error.kind {
        case .timedOut:
            switch error.operation {
            case .create: .createTimedOut
            case .kill: .killTimedOut
            case .health: .healthCheckTimedOut
            case .exec: .execTimedOut
            default: .connectTimedOut
            }
        case .dns, .refused, .reset, .tls, .unavailable: .providerUnavailable
        case .concurrencyLimit: .providerQuota
        case .rateLimited: .providerRateLimited
        case .gone: .sandboxGone
        case .malformed: .providerProtocol
        case .cancelled: .providerUnavailable
        case .unsupported: .unsupported
        case .breakerOpen: .breakerOpen
        case .http(401), .http(403): .providerUnauthorized
        case .http(let status): status >= 500 ? .providerUnavailable : .providerRejected
        }
    }
}

/// Which limit refused, and by how much.
public struct LimitDenial: Error, Sendable, Hashable {
    /// Which limit.
    public var scope: LimitScope
    /// Its value.
    public var limit: Int
    /// How many slots are taken, those still being released included.
    public var inUse: Int
    /// How many of them belong to sandboxes on their way out.
    public var releasing: Int
    /// A guess at when a slot is free.
    public var retryAfter: Duration

    /// Bundles the refusal.
    public init(scope: LimitScope, limit: Int, inUse: Int, releasing: Int, retryAfter: Duration = .seconds(1)) {
        self.scope = scope
        self.limit = limit
        self.inUse = inUse
        self.releasing = releasing
        self.retryAfter = retryAfter
    }
}
