/// Everything known about a key, for whoever asks why it is in its state.
public struct KeyExplanation: Sendable, Hashable {
    /// One thing that happened.
    public struct Event: Sendable, Hashable {
        /// When.
        public var at: WallTime
        /// What; constant words and ids.
        public var text: String
    }

    /// What the last probe of the key's sandbox said, as far as this process knows.
    public struct Probe: Sendable, Hashable {
        /// The last verdict.
        public var verdict: HealthResult
        /// How long ago it was.
        public var age: Duration
        /// Sick verdicts in a row.
        public var sickInARow: Int
        /// Probes without an answer in a row.
        public var silentInARow: Int
    }

    /// How many slots are taken, of how many.
    public struct Slots: Sendable, Hashable {
        /// Those that the key's user holds.
        public var user = 0
        /// Those of them whose sandbox is dying.
        public var userReleasing = 0
        /// Those that all users hold.
        public var total = 0
        /// The limits in force.
        public var limits: SlotLimits
    }

    /// When it was asked.
    public var at: WallTime
    /// Who works on the key right now.
    public var lock: UserLockHold?
    /// Whether this process hands the lease out from memory.
    public var isInMemory: Bool
    /// The lease, if there is one.
    public var lease: LeaseDescription?
    /// The creation under way, if there is one.
    public var reservation: ReservationRecord?
    /// An id that an earlier manager noted for the key, which nobody has verified.
    public var unverified: SandboxID?
    /// The last probe; `nil` where this process made none.
    public var probe: Probe?
    /// How the limits stand.
    public var slots: Slots
    /// Creations whose outcome is open, oldest first.
    public var intents: [KeyAccount.OpenIntent] = []
    /// Sandboxes that are dying, oldest first.
    public var kills: [KeyAccount.Kill] = []
    /// How long until the user may create again; zero if now.
    public var nextCreation: Duration = .zero
    /// How long until the provider lets anybody create again, after it asked for a pause; zero if now.
    public var providerPause: Duration = .zero
    /// What the breaker before the provider does.
    public var breaker = BreakerState.closed
    /// Where the truth lives.
    public var storeMode: StoreMode
    /// Whether new work is refused.
    public var isDraining = false
    /// Whether an operator wants no sandbox to be made.
    public var areCreationsStopped = false
    /// The last events, oldest first.
    public var events: [Event]

    /// Whether somebody works on the key right now.
    public var isLocked: Bool { lock != nil }
}

/// Somebody's hold on a user lock.
public struct UserLockHold: Sendable, Hashable {
    /// What they do.
    public var operation: Operation
    /// For how long they have done it.
    public var age: Duration
    /// How many others wait for its outcome or for their turn.
    public var waiters: Int
}
