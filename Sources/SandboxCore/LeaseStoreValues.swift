// What passes between a manager and its store: values only.

/// Why the store could not be asked.
public struct StoreError: Error, Sendable, Hashable {
    /// What that says about the store.
    public enum Kind: Sendable, Hashable {
        /// It does not answer.
        case unreachable
        /// It answers, but is not the one that it was: entries may be missing. Nothing was done.
        case lost
        /// It refused this call.
        case refused
        /// The caller gave up.
        case cancelled
    }

    /// What that says about the store.
    public var kind: Kind
    /// Words for a human, without secrets.
    public var detail: String

    /// Wraps the words.
    public init(_ detail: String, kind: Kind = .unreachable) {
        self.kind = kind
        self.detail = detail
    }
}

/// Which edition of a store's books somebody speaks of.
public struct BooksEdition: Sendable, Hashable {
    /// The life of the shared store.
    public var incarnation: String
    /// How often this process has told it what it lacked.
    public var merges: Int

    /// Bundles both.
    public init(incarnation: String, merges: Int) {
        self.incarnation = incarnation
        self.merges = merges
    }
}

/// The two limits.
public struct SlotLimits: Sendable, Hashable {
    /// Slots that one user may hold.
    public var perUser: Int
    /// Slots that all users together may hold.
    public var total: Int

    /// Bundles both.
    public init(perUser: Int, total: Int) {
        self.perUser = perUser
        self.total = total
    }
}

/// Asks for a slot, an epoch and an intent.
public struct ReservationRequest: Sendable, Hashable {
    /// For whom.
    public var key: LeaseKey
    /// Who asks: the replica's own name.
    public var owner: String
    /// The name of slot and intent.
    public var token: CreationToken
    /// What must not be exceeded.
    public var limits: SlotLimits
    /// After this without a commit the intent is due for resolving.
    public var intentDeadline: Duration

    /// Bundles the request.
    public init(key: LeaseKey, owner: String, token: CreationToken, limits: SlotLimits, intentDeadline: Duration) {
        self.key = key
        self.owner = owner
        self.token = token
        self.limits = limits
        self.intentDeadline = intentDeadline
    }
}

/// What came of asking for a slot.
public enum ReserveOutcome: Sendable, Hashable {
    /// The key is ours to create for.
    case reserved(Epoch)
    /// Somebody was faster: here is the lease.
    case leased(LeaseRecord)
    /// Somebody is creating for the key.
    case reservedElsewhere(ReservationRecord)
    /// No slot is free.
    case limited(LimitDenial)
}

/// Asks for a member of the warm pool, to become the lease of a key.
public struct WarmClaimRequest: Sendable, Hashable {
    /// For whom.
    public var key: LeaseKey
    /// What the member must have been made of.
    public var template: String
    /// Slots that one user may hold; the total stays as it is, as the slot only changes hands.
    public var perUser: Int
    /// A member that ends sooner is of no use.
    public var leastLife: Duration
    /// How long the lease may lie idle.
    public var idleTimeout: Duration

    /// Bundles the request.
    public init(key: LeaseKey, template: String, perUser: Int, leastLife: Duration, idleTimeout: Duration) {
        self.key = key
        self.template = template
        self.perUser = perUser
        self.leastLife = leastLife
        self.idleTimeout = idleTimeout
    }
}

/// What came of asking the warm pool.
public enum WarmClaimOutcome: Sendable, Hashable {
    /// The member is the key's lease now, with its slot.
    case claimed(LeaseRecord)
    /// No member fits.
    case empty
    /// The key holds something, its user has no slot left, or the store cannot say: nothing was looked for.
    case refused
}

/// What a store holds for a key.
public enum StoreEntry: Sendable, Hashable {
    /// A sandbox is leased.
    case lease(LeaseRecord)
    /// A sandbox is being created.
    case reservation(ReservationRecord)
    /// An id that an earlier manager left, and nobody has verified: it takes no slot yet.
    case unverified(SandboxID)
}

/// Somebody's reservation.
public struct ReservationRecord: Sendable, Hashable {
    /// Whose.
    public var owner: String
    /// The creation's name.
    public var token: CreationToken
    /// The lease generation it will become.
    public var epoch: Epoch
    /// How long it may still hold the key.
    public var remaining: Duration

    /// Bundles the record.
    public init(owner: String, token: CreationToken, epoch: Epoch, remaining: Duration) {
        self.owner = owner
        self.token = token
        self.epoch = epoch
        self.remaining = remaining
    }
}

/// A lease as stores keep it. Durations count from the moment the record was read or is written.
public struct LeaseRecord: Sendable, Hashable {
    /// Whose.
    public var key: LeaseKey
    /// Its generation.
    public var epoch: Epoch
    /// The creation that made its sandbox; names the slot.
    public var token: CreationToken
    /// How to reach the sandbox; `remainingLife` is the remote life.
    public var sandbox: ProviderSandbox
    /// When the sandbox was made.
    public var createdAt: WallTime
    /// How long ago that was.
    public var age: Duration
    /// How long ago it was last used.
    public var idle: Duration
    /// How long it may lie idle.
    public var idleTimeout: Duration
    /// Whether it is paused.
    public var isPaused: Bool

    /// Bundles the record.
    public init(
        key: LeaseKey,
        epoch: Epoch,
        token: CreationToken,
        sandbox: ProviderSandbox,
        createdAt: WallTime,
        age: Duration,
        idle: Duration,
        idleTimeout: Duration,
        isPaused: Bool = false
    ) {
        self.key = key
        self.epoch = epoch
        self.token = token
        self.sandbox = sandbox
        self.createdAt = createdAt
        self.age = age
        self.idle = idle
        self.idleTimeout = idleTimeout
        self.isPaused = isPaused
    }
}

/// What releasing a key did.
public enum ReleaseOutcome: Sendable, Hashable {
    /// The key held nothing.
    case nothing
    /// The lease is gone, its sandbox is in the outbox.
    case ended(KillTicket)
    /// A creation is under way; what it makes will go to the outbox.
    case fenced(CreationToken)
    /// The lease or creation was ended before, and its slot is not free yet.
    case dying(CreationToken)

    /// The slot of what was ended.
    var slot: CreationToken? {
        switch self {
        case .nothing: nil
        case .ended(let ticket): ticket.token
        case .fenced(let token), .dying(let token): token
        }
    }
}

/// A sandbox that must die.
public struct KillTicket: Sendable, Hashable {
    /// Which.
    public var sandbox: SandboxID
    /// The slot that its death frees; `nil` if it holds none.
    public var token: CreationToken?
    /// Whose it was.
    public var key: LeaseKey?
    /// Why it must die.
    public var reason: KillReason
    /// Failed attempts so far.
    public var attempts: Int
    /// The lease's generation, where it is known; for the record only.
    public var epoch: Epoch?
    /// Why the last attempt failed; `nil` before the first, or where nobody noted it.
    public var lastFailure: ErrorReason?

    /// Bundles the ticket.
    public init(
        sandbox: SandboxID,
        token: CreationToken?,
        key: LeaseKey?,
        reason: KillReason,
        attempts: Int = 0,
        epoch: Epoch? = nil
    ) {
        self.sandbox = sandbox
        self.token = token
        self.key = key
        self.reason = reason
        self.attempts = attempts
        self.epoch = epoch
    }
}

/// A creation whose outcome is open.
public struct Intent: Sendable, Hashable {
    /// Its name; also that of its slot.
    public var token: CreationToken
    /// For whom.
    public var key: LeaseKey
    /// The generation it was to become.
    public var epoch: Epoch
    /// How long ago it was written or, later, detached: no attempt of its creation began after that.
    public var age: Duration
    /// Whether its key is still reserved by it: nobody detached or fenced it.
    public var isHeld: Bool

    /// Bundles the intent.
    public init(token: CreationToken, key: LeaseKey, epoch: Epoch, age: Duration, isHeld: Bool = false) {
        self.token = token
        self.key = key
        self.epoch = epoch
        self.age = age
        self.isHeld = isHeld
    }
}

/// A sandbox of ours as a listing of the provider shows it.
public struct ListedSandbox: Sendable, Hashable {
    /// Which.
    public var id: SandboxID
    /// The creation that made it.
    public var token: CreationToken
    /// For whom it was made.
    public var key: LeaseKey

    /// Bundles the three.
    public init(id: SandboxID, token: CreationToken, key: LeaseKey) {
        self.id = id
        self.token = token
        self.key = key
    }
}

/// Background work that one replica of a fleet does for all.
public enum Duty: String, Sendable, CaseIterable, Hashable {
    /// Puts right what differs between books and provider.
    case reconciler
}

/// One use of a lease.
public struct LeaseUse: Sendable, Hashable {
    /// Whose.
    public var key: LeaseKey
    /// Which generation.
    public var epoch: Epoch
    /// How long ago.
    public var age: Duration

    /// Bundles the use.
    public init(key: LeaseKey, epoch: Epoch, age: Duration) {
        self.key = key
        self.epoch = epoch
        self.age = age
    }
}

/// A lease that is due, and why.
public struct DueLease: Sendable, Hashable {
    /// The lease.
    public var record: LeaseRecord
    /// `.idle` or `.expired`.
    public var reason: KillReason

    /// Bundles both.
    public init(record: LeaseRecord, reason: KillReason) {
        self.record = record
        self.reason = reason
    }
}

/// Some leases, and where to go on.
public struct LeasePage: Sendable, Hashable {
    /// The leases, by key.
    public var leases: [LeaseRecord]
    /// Opaque; `nil` on the last page.
    public var cursor: String?

    /// Bundles both.
    public init(leases: [LeaseRecord], cursor: String?) {
        self.leases = leases
        self.cursor = cursor
    }
}

/// What a store holds in all.
public struct StoreUsage: Sendable, Hashable {
    /// Slots taken by all users.
    public var slots = 0
    /// The most that one user holds; the warm pool is none.
    public var largestUser = 0
    /// Reservations that creations work on.
    public var reservations = 0
    /// Leases whose sandbox runs.
    public var active = 0
    /// Leases whose sandbox is paused.
    public var paused = 0
    /// Members of the warm pool that can be claimed; they take slots too.
    public var warm = 0
    /// Those of the reservations that are for the warm pool.
    public var warmPending = 0
    /// Sandboxes in the kill outbox.
    public var outbox = 0
    /// Age of the oldest of them; zero when there is none.
    public var oldestKill: Duration = .zero
    /// Intents, open reservations included.
    public var intents = 0
    /// Age of the oldest of them; zero when there is none.
    public var oldestIntent: Duration = .zero

    /// Nothing held.
    public init() {}
}
