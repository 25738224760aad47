/// The shared truth of leases, slots, intents and the kill outbox: in memory or in Redis.
///
/// Each call is one atomic transition. Every write names an epoch or a creation token, and a stale one is refused.
/// Times are durations relative to the store's own clock, so that no two clocks are ever compared. Every transition is
/// idempotent: a caller that lost the reply may repeat the call once.
public protocol LeaseStore: Sendable {
    /// Where the truth lives right now.
    var mode: StoreMode { get }
    /// Whether calls reach the store that is shared; closed where there is none.
    var breaker: BreakerState { get }

    /// What the store holds for `key`: a lease, another's reservation, or nothing.
    func lookup(_ key: LeaseKey) async throws(StoreError) -> StoreEntry?

    /// Takes a slot, a new epoch and an intent for `key`, all or nothing (I2).
    ///
    /// For a while after the total limit refused somebody, the warm pool gets nothing: the next free slot is theirs.
    func reserve(_ request: ReservationRequest) async throws(StoreError) -> ReserveOutcome

    /// Turns a reservation into a lease; the slot moves along.
    ///
    /// - Returns: The lease's epoch: the reservation's, or another one if the same sandbox was adopted meanwhile. `nil`
    ///   if the reservation was fenced; the sandbox is then in the kill outbox, with the slot.
    func commit(_ lease: LeaseRecord) async throws(StoreError) -> Epoch?

    /// Takes over a sandbox that was found at the provider, as the lease of its key, under a new epoch.
    ///
    /// Its slot counts even above the limits: it exists and costs money, and stops further grants.
    /// - Returns: The epoch, or `nil` if the key holds something already.
    func adopt(_ lease: LeaseRecord) async throws(StoreError) -> Epoch?

    /// Makes a member of the warm pool the lease of a key, under a new epoch; its slot changes hands.
    ///
    /// Only a member whose commit these very books have seen is given away: one that was put back, or is known from an
    /// older state of them, may have been another key's since (I5).
    func claimWarm(_ request: WarmClaimRequest) async throws(StoreError) -> WarmClaimOutcome

    /// Gives up a reservation whose creation surely made nothing: slot and intent are gone.
    func abandon(_ key: LeaseKey, token: CreationToken) async throws(StoreError)

    /// Lets a reservation's key go, but keeps slot and intent until the outcome of the creation is known.
    ///
    /// The intent is due at once, and its age counts from now on: no attempt of its creation begins later.
    func detachIntent(_ key: LeaseKey, token: CreationToken) async throws(StoreError)

    /// Ends whatever the key holds: a lease goes to the outbox, a reservation is fenced.
    func release(_ key: LeaseKey, reason: KillReason) async throws(StoreError) -> ReleaseOutcome

    /// Moves the lease to the outbox if it is still the one of `epoch` and, with `idleFor`, was not used for that long.
    ///
    /// - Returns: `nil` if the lease is another, or in use: nothing was done (I7, K1, K2).
    func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason
    ) async throws(StoreError) -> KillTicket?

    /// Removes a lease whose sandbox is confirmed absent, and frees its slot (I4).
    ///
    /// - Returns: Whether the lease was still there.
    func forget(_ key: LeaseKey, epoch: Epoch) async throws(StoreError) -> Bool

    /// Records a new remote expiry, never an earlier one than known.
    func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) async throws(StoreError) -> Bool

    /// Records whether the sandbox is paused; a paused lease keeps its slot.
    func setPaused(_ key: LeaseKey, epoch: Epoch, paused: Bool, remaining: Duration) async throws(StoreError) -> Bool

    /// Records when leases were last used, in one go.
    func touch(_ uses: [LeaseUse]) async throws(StoreError)

    /// Leases that are due: idle for their idle timeout, past their remote expiry, or too old.
    func dueLeases(limit: Int) async throws(StoreError) -> [DueLease]

    /// Outbox entries whose next attempt is due; each is claimed for `claim`, so that replicas do not kill twice.
    func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket]

    /// Puts a sandbox that is nobody's lease into the outbox.
    func enqueueKill(_ ticket: KillTicket) async throws(StoreError)

    /// The sandbox is confirmed gone: outbox entry and slot are freed.
    ///
    /// - Returns: Whether the entry was still there.
    func confirmKilled(_ ticket: KillTicket) async throws(StoreError) -> Bool

    /// The kill failed; the next attempt is due after `delay`.
    func deferKill(_ ticket: KillTicket, by delay: Duration) async throws(StoreError)

    /// Intents whose creation nobody works on any more, or whose owner is overdue.
    func dueIntents(limit: Int, claim: Duration) async throws(StoreError) -> [Intent]

    /// Whether the slot of this name is still taken: by a creation, a lease, or a sandbox not confirmed dead.
    func isTaken(_ slot: CreationToken) async throws(StoreError) -> Bool

    /// Which of these sandboxes, at most 256, are in no book: they are nobody's lease, no open creation made them, and
    /// nobody has condemned them.
    func unaccounted(_ listed: [ListedSandbox]) async throws(StoreError) -> Set<SandboxID>

    /// Takes over a duty, or keeps it, for so long; a replica that does not ask again loses it then.
    ///
    /// - Returns: Whether it is this replica's.
    func takeDuty(_ duty: Duty, for term: Duration) async throws(StoreError) -> Bool

    /// Closes an intent; with sandboxes found they go to the outbox, and the slot with the first of them.
    func resolveIntent(_ intent: Intent, found: [SandboxID]) async throws(StoreError)

    /// Leases in the order of their keys. Members of the warm pool are nobody's leases: they are listed only for the user
    /// ``LeaseKey/warmUser``, and only those that can be claimed.
    func list(user: String?, limit: Int, after cursor: String?) async throws(StoreError) -> LeasePage

    /// What is held in all, for gauges and statistics.
    func usage() -> StoreUsage

    /// What the books say of a key beside its entry, for whoever asks why it is in its state.
    func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount

    // A store that is shared, and may be away, needs the manager's help; one of this process does not.

    /// Keyed collections of this process behind the store.
    var collections: [CollectionGauges] { get }

    /// Whether everything that the provider runs for us is known to be in the books; if not, nothing is created without
    /// looking at the provider first.
    var isComplete: Bool { get }

    /// Which edition of the books calls go to right now; a loss or an outage makes another one.
    var edition: BooksEdition { get }

    /// Everything that the provider ran is in the books.
    ///
    /// - Parameter edition: That of the books when the provider was asked.
    /// - Throws: `.lost` if they are another edition by now: nothing is known about that one.
    func markComplete(_ edition: BooksEdition) async throws(StoreError)

    /// Names the manager of this process; called once, before anything else. The store does not keep it alive.
    func join(_ client: any LeaseStoreClient)

    /// Keeps up with the world outside until the task is cancelled.
    func run() async

    /// Puts slots right that nothing justifies, and entries that have none.
    ///
    /// - Returns: What was looked at and repaired.
    func repair() async throws(StoreError) -> RepairedSlots
}

extension LeaseStore {
    /// None.
    public var collections: [CollectionGauges] { [] }
    /// Always: nobody else is there.
    public func takeDuty(_ duty: Duty, for term: Duration) async throws(StoreError) -> Bool { true }
    /// Closed: nothing stands before the store.
    public var breaker: BreakerState { .closed }
    /// Always.
    public var isComplete: Bool { true }
    /// Always the same.
    public var edition: BooksEdition { BooksEdition(incarnation: "", merges: 0) }
    /// Nothing to do.
    public func markComplete(_ edition: BooksEdition) async throws(StoreError) {}
    /// Nothing that it could tell.
    public func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount { KeyAccount() }
    /// Nobody is needed.
    public func join(_ client: any LeaseStoreClient) {}
    /// Nothing to do.
    public func run() async {}
    /// Slots and entries are one value.
    public func repair() async throws(StoreError) -> RepairedSlots {
        RepairedSlots(scanned: 0, unjustified: 0, missing: 0, cursor: nil)
    }
}

/// The manager of a process, as the store sees it. Called from any thread; must return at once.
public protocol LeaseStoreClient: AnyObject, Sendable {
    /// The leases that this process would hand out.
    func leasesInMemory() -> [LeaseRecord]
    /// Leases of the key up to this epoch are over or changed: the copy in memory is worth nothing any more.
    func leaseEnded(_ key: LeaseKey, upTo epoch: Epoch)
    /// How far the copies in memory may be trusted from now on.
    func trustChanged(to trust: MemoryTrust)
}

/// How far a process may trust its own copies of leases.
public enum MemoryTrust: Sendable, Hashable {
    /// Nobody else could end a lease, or nobody can be asked.
    case always
    /// Endings are heard, from this word on: a copy made before must be checked once.
    case onceChecked
    /// Endings pass unheard: a copy must be checked each time.
    case never
}
