/// How the manager behaves. The defaults are those of the daemon.
public struct ManagerConfiguration: Sendable {
    /// Which fleet of managers a sandbox belongs to, in an account shared with others.
    public var environment = "default"
    /// This replica's name among those that share a store.
    public var owner = "manager"
    /// How many sandboxes there may be.
    public var limits = SlotLimits(perUser: 2, total: 100)

    /// What is booted when the caller names nothing.
    public var template = "base"
    /// How long a lease may lie idle.
    public var idleTimeout: Duration = .seconds(500)
    /// How much longer than the idle timeout a sandbox lives by itself (the dead-man's switch).
    public var grace: Duration = .seconds(300)
    /// How long a lease may live at all.
    public var maxAge: Duration = .seconds(3600)
    /// How long a paused sandbox is kept.
    public var pausedMaxAge: Duration = .seconds(86400)

    /// Time limit of one create; E2B's own is 70 s.
    public var createTimeout: Duration = .seconds(75)
    /// Attempts of a create after the first.
    public var createRetries = 2
    /// The first pause between attempts of a create; doubles, with full jitter.
    public var createRetryDelay: Duration = .seconds(1)
    /// Time limit of connect, info, list and extend.
    public var connectTimeout: Duration = .seconds(5)
    /// Time limit of one kill.
    public var killTimeout: Duration = .seconds(15)
    /// Time limit of one probe.
    public var healthTimeout: Duration = .seconds(5)
    /// How long after its last use a lease is handed out without a probe.
    public var freshWindow: Duration = .seconds(30)

    /// When calls are kept from a provider that fails.
    public var breaker = BreakerPolicy()
    /// Sandboxes made ahead of demand.
    public var warmPool = WarmPoolPolicy()
    /// How fast one user may create.
    public var creationRate = CreationRate(perMinute: 30, burst: 10)

    /// Time limit of a request as a whole.
    public var requestDeadline: Duration = .seconds(90)
    /// How long a creation waits for the listing that completes the books, after a start or a loss.
    public var listingWait: Duration = .seconds(5)
    /// How many callers may wait for user locks at once.
    public var maxWaiters = 4096
    /// How long a release waits for the kill before it answers that it goes on.
    public var releaseWait: Duration = .seconds(5)

    /// Pause between rounds of the reaper.
    public var reaperInterval: Duration = .seconds(30)
    /// Pause between rounds of the outbox worker.
    public var outboxInterval: Duration = .seconds(1)
    /// How the books are compared with what the provider runs.
    public var reconciler = ReconcilerPolicy()
    /// Pause between rounds of the extender.
    public var extenderInterval: Duration = .seconds(10)

    /// How long shutdown waits for work under way.
    public var shutdownTimeout: Duration = .seconds(25)
    /// Whether shutdown kills the sandboxes; implied where they cannot outlive the process.
    public var shutdownKillsSandboxes = false

    /// Faults that a drill switched on.
    public var faults: Set<Fault> = []

    /// The defaults.
    public init() {}
}

/// How the books are compared with what the provider runs.
public struct ReconcilerPolicy: Sendable, Hashable {
    /// What is done about a difference.
    public enum Mode: String, Sendable, CaseIterable, Hashable {
        /// It is counted and logged; nothing is adopted, killed or repaired.
        case observe
        /// It is put right.
        case repair
    }

    /// Pause between rounds.
    public var interval: Duration = .seconds(300)
    /// How long a sandbox that is in no book is watched before it is killed.
    public var grace: Duration = .seconds(120)
    /// What is done about a difference.
    public var mode = Mode.repair

    /// The defaults.
    public init() {}
}

/// Sandboxes made ahead of demand.
public struct WarmPoolPolicy: Sendable, Hashable {
    /// How many there should be; 0 switches the pool off.
    public var target = 0
    /// How many may be made each second.
    public var perSecond = 1.0

    /// The defaults: no pool.
    public init() {}
}
