public import PrometheusClient
public import SandboxCore

// The core's closed sets as metric labels.

extension Operation: MetricLabel {
    /// `operation`.
    public static var labelName: String { "operation" }
}
extension AcquireSource: MetricLabel {
    /// `source`.
    public static var labelName: String { "source" }
}
extension AcquirePhase: MetricLabel {
    /// `phase`.
    public static var labelName: String { "phase" }
}
extension LimitScope: MetricLabel {
    /// `scope`.
    public static var labelName: String { "scope" }
}
extension LeaseEndReason: MetricLabel {
    /// `reason`.
    public static var labelName: String { "reason" }
}
extension KillReason: MetricLabel {
    /// `reason`.
    public static var labelName: String { "reason" }
}
extension AmbiguityResolution: MetricLabel {
    /// `resolution`.
    public static var labelName: String { "resolution" }
}
extension OrphanAction: MetricLabel {
    /// `action`.
    public static var labelName: String { "action" }
}
extension WarmPoolClaim: MetricLabel {
    /// `result`.
    public static var labelName: String { "result" }
}
extension ProviderResult: MetricLabel {
    /// `result`.
    public static var labelName: String { "result" }
}
extension RetryReason: MetricLabel {
    /// `reason`.
    public static var labelName: String { "reason" }
}
extension RetriedOperation: MetricLabel {
    /// `operation`.
    public static var labelName: String { "operation" }
}
extension Upstream: MetricLabel {
    /// `upstream`.
    public static var labelName: String { "upstream" }
}
extension BreakerState: MetricLabel {
    /// `state`.
    public static var labelName: String { "state" }
}
extension RateLimitScope: MetricLabel {
    /// `scope`.
    public static var labelName: String { "scope" }
}
extension HealthResult: MetricLabel {
    /// `result`.
    public static var labelName: String { "result" }
}
extension HealthSkipReason: MetricLabel {
    /// `reason`.
    public static var labelName: String { "reason" }
}
extension CreationOrigin: MetricLabel {
    /// `origin`.
    public static var labelName: String { "origin" }
}
extension SandboxUse: MetricLabel {
    /// `use`.
    public static var labelName: String { "use" }
}
extension LoopName: MetricLabel {
    /// `loop`.
    public static var labelName: String { "loop" }
}
extension LoopResult: MetricLabel {
    /// `result`.
    public static var labelName: String { "result" }
}
extension LoopItemOutcome: MetricLabel {
    /// `outcome`.
    public static var labelName: String { "outcome" }
}
extension StoreMode: MetricLabel {
    /// `mode`.
    public static var labelName: String { "mode" }
}
extension CollectionName: MetricLabel {
    /// `collection`.
    public static var labelName: String { "collection" }
}
extension EvictionReason: MetricLabel {
    /// `reason`.
    public static var labelName: String { "reason" }
}
extension Fault: MetricLabel {
    /// `fault`.
    public static var labelName: String { "fault" }
}

/// `ok`, or why an operation failed.
enum OperationResult: MetricLabel {
    case ok
    case failed(ErrorReason)

    static var allCases: [OperationResult] { [.ok] + ErrorReason.allCases.map { .failed($0) } }
    static var labelName: String { "result" }

    var labelValue: String {
        switch self {
        case .ok: "ok"
        case .failed(let reason): reason.rawValue
        }
    }
}

/// The calls of a provider that are counted; commands inside sandboxes are not among them.
enum CountedProviderOperation: String, MetricLabel {
    case create, connect, info, list, extend, pause, kill, health
    static var labelName: String { "operation" }

    init?(_ operation: ProviderOperation) { self.init(rawValue: operation.rawValue) }
}

/// The state that a breaker changed to, where that is an event.
enum BreakerTransition: MetricLabel {
    case to(BreakerState)

    static var allCases: [BreakerTransition] { BreakerState.allCases.map { .to($0) } }
    static var labelName: String { "to" }

    var labelValue: String {
        switch self {
        case .to(let state): state.rawValue
        }
    }
}

/// What a lease can be.
enum LeaseState: String, MetricLabel {
    case creating, active, paused, releasing
    static var labelName: String { "state" }
}

/// What an entry of the lock table can be.
enum UserLockState: String, MetricLabel {
    case held, idle
    static var labelName: String { "state" }
}

/// What the books keep a sandbox for.
enum LedgerAccount: String, MetricLabel {
    case creating, leased, paused, warm, killing
    static var labelName: String { "account" }
}

/// What a sandbox is at the provider.
enum ProviderSandboxState: String, MetricLabel {
    case running, paused
    static var labelName: String { "state" }
}

/// How books and provider can disagree.
enum DriftKind: String, MetricLabel {
    case untrackedAtProvider = "untracked_at_provider"
    case missingAtProvider = "missing_at_provider"
    case storeOnly = "store_only"
    static var labelName: String { "kind" }
}

/// All slots together, the only scope that slots in use have.
enum TotalScope: String, MetricLabel {
    case total
    static var labelName: String { "scope" }
}

/// What a lookup in the memory of leases can come to.
enum CacheResult: String, MetricLabel {
    case hit, miss, error
    static var labelName: String { "result" }
}

/// The status of a scrape.
public enum ScrapeCode: String, MetricLabel {
    /// A page was sent.
    case ok = "200"
    /// A collector failed; no page was sent.
    case failed = "500"
    /// `code`.
    public static var labelName: String { "code" }
}
