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
    /// What the provider ran when it was last listed.
    public var provider = ProviderGauges()
    /// Where books and provider disagreed when they were last compared.
    public var drift = LedgerDrift()
    /// The warm pool of this process.
    public var warmPool = WarmPoolGauges()
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
    /// Whether new work is refused.
    public var isDraining = false
    /// Whether an operator wants no sandbox to be made.
    public var areCreationsStopped = false
    /// Operations and detached flights under way.
    public var inFlight = 0
    /// When each loop's last round ended well, of those that ran.
    public var loopSuccesses: [LoopName: WallTime] = [:]
    /// Intervals of the loops that run.
    public var loopIntervals: [LoopName: Duration] = [:]

    /// Nothing there yet.
    public init(limits: SlotLimits, storeMode: StoreMode) {
        self.limits = limits
        self.storeMode = storeMode
    }
}

/// What the provider ran of ours when it was last listed.
public struct ProviderGauges: Sendable, Hashable {
    /// Sandboxes that ran.
    public var running = 0
    /// Sandboxes that were paused.
    public var paused = 0

    /// None.
    public init() {}
}

/// Where the books and the provider disagreed when they were last compared.
public struct LedgerDrift: Sendable, Hashable {
    /// Sandboxes under our label that were in no book.
    public var untrackedAtProvider = 0
    /// Leases whose sandbox the provider did not list.
    public var missingAtProvider = 0
    /// Slots that no lease, creation or kill needed.
    public var storeOnly = 0

    /// None.
    public init() {}
}

/// Sizes of the warm pool.
public struct WarmPoolGauges: Sendable, Hashable {
    /// Members that may be claimed.
    public var ready = 0
    /// Members there should be.
    public var target = 0
    /// Members being made.
    public var pending = 0

    /// Empty.
    public init() {}
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
