/// A lease store outside this process, shared by several replicas: it can be away, come back, and come back empty.
///
/// Every call names the incarnation that ``attach()`` last learned. A store that is another one by now answers `.lost`
/// and does nothing, so that nobody writes into books that miss entries without knowing it.
public protocol SharedLeaseStore: LeaseStore {
    /// Names who hears what other replicas do; called once, before anything else.
    ///
    /// - Parameter hear: Called from any thread; must return at once and must not call the store.
    func observe(_ hear: @escaping @Sendable (StoreNotice) -> Void)

    /// Listens to other replicas until the task is cancelled; never gives up.
    func listen() async

    /// Learns which incarnation the store is; if it is new, this gives it its name.
    func attach() async throws(StoreError) -> StoreAttachment

    /// Says that this replica lives, so that nobody takes its creations over, and learns the usage. Fails early.
    func beat() async throws(StoreError)

    /// Puts a lease back that this replica knows and the store may have lost, or has under another epoch.
    ///
    /// The limits do not count: it exists. Between two sandboxes of one key the higher epoch wins, and the other goes to
    /// the outbox with its slot; a reservation of the key is fenced.
    func restore(_ lease: LeaseRecord) async throws(StoreError) -> RestoreOutcome

    /// Puts a creation of this replica back that the store may have lost: slot, intent and, if it is held and free, the
    /// key.
    func restore(_ intent: RestoredIntent) async throws(StoreError)

    /// Ends a lease whose sandbox this replica has condemned while the store was away, if it is still the one.
    ///
    /// - Parameters:
    ///   - kill: What is dying; goes to the outbox unless it is dead.
    ///   - isDead: Whether the death is confirmed: then slot and outbox entry are freed.
    /// - Throws: As every call does.
    func restore(_ kill: KillTicket, isDead: Bool) async throws(StoreError)

    /// Compares slots with what justifies them, some at a time. A slot without lease, intent or outbox entry becomes an
    /// intent that is due, so that the provider is asked before it is freed; an entry without a slot gets one.
    ///
    /// - Parameter cursor: Where the last call ended; `nil` to begin.
    /// - Returns: What was repaired, and where to go on; no cursor when all were seen.
    /// - Throws: As every call does.
    func repair(from cursor: String?) async throws(StoreError) -> RepairedSlots

    /// Everything that the provider ran is in the books of this incarnation; `.lost` if the store is another by now.
    func markComplete(_ incarnation: String) async throws(StoreError)

    /// Lets go of connections and threads.
    func close() async
}

/// What a shared store says of itself.
public struct StoreAttachment: Sendable, Hashable {
    /// Which life of the store this is: another one after a loss, a restart or a failover.
    public var incarnation: String
    /// Whether some replica has put everything that the provider ran into the books since it began.
    public var isComplete: Bool

    /// Bundles both.
    public init(incarnation: String, isComplete: Bool) {
        self.incarnation = incarnation
        self.isComplete = isComplete
    }
}

/// What a replica hears of the others.
public enum StoreNotice: Sendable, Hashable {
    /// Leases of the key up to this epoch are over or changed: a copy in memory is worth nothing any more.
    case ended(LeaseKey, Epoch)
    /// From now on endings may pass unheard: a copy in memory must be checked each time.
    case deaf
    /// Endings are heard again; copies made before must be checked once.
    case listening
}

/// What became of a lease that was put back.
public enum RestoreOutcome: Sendable, Hashable {
    /// The sandbox is the key's lease, under this epoch.
    case kept(Epoch)
    /// Another sandbox is the key's lease; this one is in the outbox.
    case superseded
}

/// A creation of this replica that a shared store may have lost.
public struct RestoredIntent: Sendable, Hashable {
    /// What was asked for; the limits are not applied again.
    public var request: ReservationRequest
    /// The generation it was to become.
    public var epoch: Epoch
    /// Whether it still holds the key; otherwise its outcome is open, and it is due.
    public var isHeld: Bool

    /// Bundles the three.
    public init(request: ReservationRequest, epoch: Epoch, isHeld: Bool) {
        self.request = request
        self.epoch = epoch
        self.isHeld = isHeld
    }
}

/// What one step of a repair did.
public struct RepairedSlots: Sendable, Hashable {
    /// Slots looked at.
    public var scanned: Int
    /// Slots that nothing justified; they are intents now.
    public var unjustified: Int
    /// Entries that had no slot and have one now.
    public var missing: Int
    /// Where to go on; `nil` when all were seen.
    public var cursor: String?

    /// Bundles the four.
    public init(scanned: Int, unjustified: Int, missing: Int, cursor: String?) {
        self.scanned = scanned
        self.unjustified = unjustified
        self.missing = missing
        self.cursor = cursor
    }
}
