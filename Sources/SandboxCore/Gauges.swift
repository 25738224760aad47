/// Everything about the manager that is a size or an age right now; read without an actor hop (I11).
public struct ManagerGauges: Sendable, Hashable {
    /// Sizes and ages of the user-lock table.
    public var userLocks = UserLockGauges()
    /// Leases and reservations by state.
    public var leasesCreating = 0
    /// Leases whose sandbox runs.
    public var leasesActive = 0
    /// Leases whose sandbox is paused.
    public var leasesPaused = 0
    /// Sandboxes of ended leases that are not confirmed dead.
    public var leasesReleasing = 0
    /// What the store holds in all.
    public var usage = StoreUsage()
    /// The limits in force.
    public var limits: SlotLimits
    /// Where the shared truth lives.
    public var storeMode: StoreMode
    /// What the breaker before the provider does.
    public var providerBreaker = BreakerState.closed
    /// What the breaker before the store does.
    public var storeBreaker = BreakerState.closed
    /// Retries that the budget allows right now.
    public var retryBudget = 0
    /// Every keyed in-memory collection of the manager.
    public var collections: [CollectionGauges] = []
    /// Intervals of the loops that run.
    public var loopIntervals: [LoopName: Duration] = [:]

    /// Nothing there yet.
    public init(limits: SlotLimits, storeMode: StoreMode) {
        self.limits = limits
        self.storeMode = storeMode
    }
}

/// Sizes and ages of the user-lock table.
public struct UserLockGauges: Sendable, Hashable {
    /// Entries that somebody holds.
    public var held = 0
    /// Entries that nobody holds or waits for: a leak.
    public var idle = 0
    /// Everybody who waits.
    public var waiters = 0
    /// Age of the oldest wait.
    public var oldestWait: Duration = .zero
    /// Age of the oldest hold.
    public var oldestHold: Duration = .zero
    /// Age of the oldest idle entry.
    public var oldestIdle: Duration = .zero

    /// All zero.
    public init() {}
}

/// Size, bound and staleness of one keyed in-memory collection.
public struct CollectionGauges: Sendable, Hashable {
    /// Which.
    public var name: CollectionName
    /// How many entries it has.
    public var entries: Int
    /// How many it may have.
    public var limit: Int
    /// How long its stalest entry was not touched.
    public var oldestIdle: Duration
    /// How long an entry may stay untouched.
    public var idleLimit: Duration

    /// Bundles the five.
    public init(name: CollectionName, entries: Int, limit: Int, oldestIdle: Duration, idleLimit: Duration) {
        self.name = name
        self.entries = entries
        self.limit = limit
        self.oldestIdle = oldestIdle
        self.idleLimit = idleLimit
    }
}
