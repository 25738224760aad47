// The closed sets that are metric labels, log fields and problem codes at once.

/// Why an operation failed: the `code` of a problem document and the `result` label of `operations_total`.
public enum ErrorReason: String, Sendable, CaseIterable, Hashable {
    case invalidArgument = "invalid_argument"
    case unauthenticated
    case notFound = "not_found"
    case routeNotFound = "route_not_found"
    case methodNotAllowed = "method_not_allowed"
    case staleEpoch = "stale_epoch"
    case payloadTooLarge = "payload_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case headerTooLarge = "header_too_large"
    case userLimit = "user_limit"
    case rateLimited = "rate_limited"
    case totalLimit = "total_limit"
    case cancelled
    case healthCheckTimedOut = "health_check_timed_out"
    case healthCheckUnreachable = "health_check_unreachable"
    case healthCheckUnhealthy = "health_check_unhealthy"
    case sandboxGone = "sandbox_gone"
    case connectTimedOut = "connect_timed_out"
    case createTimedOut = "create_timed_out"
    case killTimedOut = "kill_timed_out"
    case execTimedOut = "exec_timed_out"
    case providerRejected = "provider_rejected"
    case providerUnauthorized = "provider_unauthorized"
    case providerProtocol = "provider_protocol"
    case providerRateLimited = "provider_rate_limited"
    case providerQuota = "provider_quota"
    case providerUnavailable = "provider_unavailable"
    case breakerOpen = "breaker_open"
    case storeUnavailable = "store_unavailable"
    case draining
    case overloaded
    case releasing
    case creationInProgress = "creation_in_progress"
    case unsupported
    case `internal`
    case deadlineExceeded = "deadline_exceeded"
}

/// What the manager is asked to do, and what its loops do: the `operation` label.
public enum Operation: String, Sendable, CaseIterable, Hashable {
    case acquire, release, describe, keepalive, pause
    case reportUnhealthy = "report_unhealthy"
    case exec, list, stats, explain
    case create, reap, kill, reconcile, extend, fill
}

/// How an acquire was served.
public enum AcquireSource: String, Sendable, CaseIterable, Hashable {
    /// From memory, without a question to anybody.
    case memory
    /// From memory, after a successful probe.
    case verified
    /// Found in the store or at the provider.
    case reconnected
    /// Taken from the sandboxes made ahead of demand.
    case warmPool = "warm_pool"
    /// Made for this request.
    case created
}

/// Where the time of an acquire goes.
public enum AcquirePhase: String, Sendable, CaseIterable, Hashable {
    case rateLimit = "rate_limit"
    case lockWait = "lock_wait"
    case storeLookup = "store_lookup"
    case healthCheck = "health_check"
    case connect
    case warmClaim = "warm_claim"
    case reserve, create, commit
}

/// Which limit refused.
public enum LimitScope: String, Sendable, CaseIterable, Hashable {
    case user, total
}

/// Why a lease ended.
public enum LeaseEndReason: String, Sendable, CaseIterable, Hashable {
    case released, idle, expired, gone, unhealthy, fenced, shutdown
}

/// Why a sandbox was put to death.
public enum KillReason: String, Sendable, CaseIterable, Hashable {
    case released, idle, expired, orphan, fenced
    case warmExpired = "warm_expired"
    case unhealthy, shutdown
}

/// How a create of unknown outcome turned out.
public enum AmbiguityResolution: String, Sendable, CaseIterable, Hashable {
    case adopted, killed, absent
}

/// What the reconciler did with a sandbox that was in nobody's books.
public enum OrphanAction: String, Sendable, CaseIterable, Hashable {
    case adopted, killed
    /// Seen, and left alone: it only observes.
    case observed
}

/// What a running sandbox is paid for.
public enum SandboxUse: String, Sendable, CaseIterable, Hashable {
    /// It is leased and was used within the last minute.
    case leasedBusy = "leased_busy"
    /// It is leased, and nobody used it for a minute.
    case leasedIdle = "leased_idle"
    /// It waits in the pool.
    case warm
    /// It must die.
    case killing
}

/// How asking the warm pool for a sandbox ended.
public enum WarmPoolClaim: String, Sendable, CaseIterable, Hashable {
    case hit
    /// The pool had none.
    case miss
    /// It had one that was worth nothing any more.
    case stale
}

/// The calls of a provider, as metrics name them.
public enum ProviderOperation: String, Sendable, CaseIterable, Hashable {
    case create, connect, info, list, extend, pause, kill, health
    /// Counted with the operation `exec`, not among the provider's requests.
    case exec
}

/// How a provider call ended.
public enum ProviderResult: String, Sendable, CaseIterable, Hashable {
    case ok
    case timedOut = "timed_out"
    case dns, refused, reset, tls
    case http400 = "http_400"
    case http401 = "http_401"
    case http403 = "http_403"
    case http404 = "http_404"
    case http409 = "http_409"
    case http429Concurrency = "http_429_concurrency"
    case http429Rate = "http_429_rate"
    case http5xx = "http_5xx"
    case malformed, cancelled
}

/// Why something was tried again.
public enum RetryReason: String, Sendable, CaseIterable, Hashable {
    case timedOut = "timed_out"
    case refused, reset
    case http429 = "http_429"
    case http5xx = "http_5xx"
    case loading
}

/// What was tried again.
public enum RetriedOperation: String, Sendable, CaseIterable, Hashable {
    case create, connect, info, list, extend, pause, kill, health, store
}

/// The label of a probe's verdict.
public enum HealthResult: String, Sendable, CaseIterable, Hashable {
    case ok
    case timedOut = "timed_out"
    case unreachable, unhealthy, gone, paused, unauthorized, malformed, cancelled
}

/// Why no probe was made.
public enum HealthSkipReason: String, Sendable, CaseIterable, Hashable {
    case fresh
    case breakerOpen = "breaker_open"
}

/// What a sandbox was made for.
public enum CreationOrigin: String, Sendable, CaseIterable, Hashable {
    case acquire
    case warmPool = "warm_pool"
}

/// The background loops.
public enum LoopName: String, Sendable, CaseIterable, Hashable {
    case reaper, outbox, reconciler
    case poolFiller = "pool_filler"
    case extender
}

/// How a round of a loop ended; a round with nothing to do is `ok`.
public enum LoopResult: String, Sendable, CaseIterable, Hashable {
    case ok, failed, partial
}

/// What a loop did with an item.
public enum LoopItemOutcome: String, Sendable, CaseIterable, Hashable {
    case scanned, acted, failed
}

/// Where the shared truth lives right now.
public enum StoreMode: String, Sendable, CaseIterable, Hashable {
    case memory, redis, degraded
}

/// What a circuit breaker protects, and protects from.
public enum Upstream: String, Sendable, CaseIterable, Hashable {
    case provider, store
}

/// What a circuit breaker does with calls.
public enum BreakerState: String, Sendable, CaseIterable, Hashable {
    /// It lets them through.
    case closed
    /// It refuses them.
    case open
    /// It lets a few through, to see how they end.
    case halfOpen = "half_open"
}

/// Whose rate of creations was too high.
public enum RateLimitScope: String, Sendable, CaseIterable, Hashable {
    /// The user's, by our own limit.
    case user
    /// All together, by the provider's.
    case global
}

/// Which in-memory collections there are; each has a bound, a size and a staleness gauge (I6).
public enum CollectionName: String, Sendable, CaseIterable, Hashable {
    case userLocks = "user_locks"
    case leases, intents
    case killOutbox = "kill_outbox"
    case warmPool = "warm_pool"
    case rateBuckets = "rate_buckets"
    case healthState = "health_state"
    case flightRecorder = "flight_recorder"
    /// Sandboxes of ours that are in no book, watched until they are adopted or killed.
    case orphans
    case httpExchanges = "http_exchanges"
    /// Copies of leases that this process may hand out without asking the store.
    case leaseCopies = "lease_copies"
    /// What a shared store would have to be told again.
    case storeJournal = "store_journal"
}

/// Why an entry was pushed out of a collection.
public enum EvictionReason: String, Sendable, CaseIterable, Hashable {
    case ttl, capacity
}

/// Faults that a drill may switch on; never in production.
public enum Fault: String, Sendable, CaseIterable, Hashable {
    /// Forgets to remove a user lock that nobody holds or waits for: the leak of an earlier implementation.
    case userLockLeak = "user-lock-leak"
    /// Creates of the provider never answer.
    case providerCreateHang = "provider-create-hang"
    /// Probes never answer.
    case healthCheckHang = "health-check-hang"
    /// The reaper's rounds fail.
    case reaperFailure = "reaper-failure"
}
