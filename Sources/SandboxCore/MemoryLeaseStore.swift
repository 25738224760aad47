internal import Synchronization

/// The embedded default: the truth of one process, gone with it. Never waits and never fails.
public final class MemoryLeaseStore: LeaseStore {
    let ledger = Mutex(StoreLedger())
    let time: any TimeSource
    /// How long whoever ends a lease has the kill to themselves before the outbox worker takes it.
    private let claim: Duration

    /// - Parameters:
    ///   - time: Both clocks.
    ///   - claim: How long whoever ends a lease has the kill to themselves; a little over a kill's time limit.
    public init(time: any TimeSource, claim: Duration = .seconds(20)) {
        self.time = time
        self.claim = claim
    }

    /// Always `memory`.
    public var mode: StoreMode { .memory }

    /// See ``LeaseStore/lookup(_:)``.
    public func lookup(_ key: LeaseKey) -> StoreEntry? {
        ledger.withLock { $0.lookup(key, now: time.now()) }
    }

    /// See ``LeaseStore/reserve(_:)``.
    public func reserve(_ request: ReservationRequest) -> ReserveOutcome {
        ledger.withLock { $0.reserve(request, now: time.now(), wallNow: time.wallNow()) }
    }

    /// See ``LeaseStore/commit(_:)``.
    public func commit(_ lease: LeaseRecord) -> Epoch? {
        ledger.withLock { $0.commit(lease, now: time.now(), claim: claim) }
    }

    /// See ``LeaseStore/adopt(_:)``.
    public func adopt(_ lease: LeaseRecord) -> Epoch? {
        ledger.withLock { $0.adopt(lease, now: time.now(), wallNow: time.wallNow()) }
    }

    /// See ``LeaseStore/claimWarm(_:)``.
    public func claimWarm(_ request: WarmClaimRequest) -> WarmClaimOutcome {
        ledger.withLock { $0.claimWarm(request, now: time.now(), wallNow: time.wallNow()) }
    }

    /// See ``LeaseStore/abandon(_:token:)``.
    public func abandon(_ key: LeaseKey, token: CreationToken) {
        ledger.withLock { $0.abandon(key, token: token) }
    }

    /// See ``LeaseStore/detachIntent(_:token:)``.
    public func detachIntent(_ key: LeaseKey, token: CreationToken) {
        ledger.withLock { $0.detachIntent(key, token: token, now: time.now()) }
    }

    /// See ``LeaseStore/release(_:reason:)``.
    public func release(_ key: LeaseKey, reason: KillReason) -> ReleaseOutcome {
        ledger.withLock { $0.release(key, reason: reason, now: time.now(), claim: claim) }
    }

    /// See ``LeaseStore/end(_:epoch:idleFor:reason:)``.
    public func end(_ key: LeaseKey, epoch: Epoch, idleFor: Duration?, reason: KillReason) -> KillTicket? {
        ledger.withLock {
            $0.end(key, epoch: epoch, idleFor: idleFor, reason: reason, now: time.now(), claim: claim)
        }
    }

    /// See ``LeaseStore/forget(_:epoch:)``.
    public func forget(_ key: LeaseKey, epoch: Epoch) -> Bool {
        ledger.withLock { $0.forget(key, epoch: epoch) }
    }

    /// See ``LeaseStore/extend(_:epoch:remaining:)``.
    public func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) -> Bool {
        ledger.withLock { $0.extend(key, epoch: epoch, remaining: remaining, now: time.now()) }
    }

    /// See ``LeaseStore/setPaused(_:epoch:paused:remaining:)``.
    public func setPaused(_ key: LeaseKey, epoch: Epoch, paused: Bool, remaining: Duration) -> Bool {
        ledger.withLock { $0.setPaused(key, epoch: epoch, paused: paused, remaining: remaining, now: time.now()) }
    }

    /// See ``LeaseStore/touch(_:)``.
    public func touch(_ uses: [LeaseUse]) {
        // A few at a time: others wait for no more than that.
        for start in stride(from: 0, to: uses.count, by: 64) {
            ledger.withLock { $0.touch(uses[start..<min(start + 64, uses.count)], now: time.now()) }
        }
    }

    /// See ``LeaseStore/dueLeases(limit:)``.
    public func dueLeases(limit: Int) -> [DueLease] {
        ledger.withLock { $0.dueLeases(limit: limit, again: .seconds(5), now: time.now()) }
    }

    /// See ``LeaseStore/dueKills(limit:claim:)``.
    public func dueKills(limit: Int, claim: Duration) -> [KillTicket] {
        ledger.withLock { $0.dueKills(limit: limit, claim: claim, now: time.now()) }
    }

    /// See ``LeaseStore/enqueueKill(_:)``.
    public func enqueueKill(_ ticket: KillTicket) {
        ledger.withLock { $0.enqueueKill(ticket, now: time.now()) }
    }

    /// See ``LeaseStore/confirmKilled(_:)``.
    public func confirmKilled(_ ticket: KillTicket) -> Bool {
        ledger.withLock { $0.confirmKilled(ticket) }
    }

    /// See ``LeaseStore/deferKill(_:by:)``.
    public func deferKill(_ ticket: KillTicket, by delay: Duration) {
        ledger.withLock { $0.deferKill(ticket, by: delay, now: time.now()) }
    }

    /// See ``LeaseStore/dueIntents(limit:claim:)``.
    public func dueIntents(limit: Int, claim: Duration) -> [Intent] {
        ledger.withLock { $0.dueIntents(limit: limit, claim: claim, now: time.now()) }
    }

    /// See ``LeaseStore/isTaken(_:)``.
    public func isTaken(_ slot: CreationToken) -> Bool {
        ledger.withLock { $0.isTaken(slot) }
    }

    /// See ``LeaseStore/unaccounted(_:)``.
    public func unaccounted(_ listed: [ListedSandbox]) -> Set<SandboxID> {
        ledger.withLock { $0.unaccounted(listed) }
    }

    /// See ``LeaseStore/resolveIntent(_:found:)``.
    public func resolveIntent(_ intent: Intent, found: [SandboxID]) {
        ledger.withLock { $0.resolveIntent(intent, found: found, now: time.now()) }
    }

    /// See ``LeaseStore/list(user:limit:after:)``.
    public func list(user: String?, limit: Int, after cursor: String?) -> LeasePage {
        ledger.withLock { $0.list(user: user, limit: limit, after: cursor, now: time.now()) }
    }

    /// See ``LeaseStore/account(of:)``.
    public func account(of key: LeaseKey) -> KeyAccount {
        ledger.withLock { $0.account(of: key, now: time.now()) }
    }

    /// Every lease, pool members included.
    var allLeases: [LeaseRecord] {
        ledger.withLock { ledger in
            ledger.holdings.values.compactMap { holding in
                if case .lease(let kept) = holding { kept.current(now: time.now()) } else { nil }
            }
        }
    }

    /// See ``LeaseStore/usage()``.
    public func usage() -> StoreUsage {
        ledger.withLock { $0.usage(now: time.now()) }
    }
}
