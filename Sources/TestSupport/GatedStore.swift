public import SandboxCore
internal import Synchronization

/// A store whose calls can be stopped between the question and the answer, or before the question, and made to fail.
public final class GatedStore: LeaseStore {
    /// The calls that can be gated.
    public enum Gate: Hashable, Sendable {
        case lookup, reserve, commit, claimWarm, release, end, extend, touch, dueLeases
    }

    /// Where a caller waits.
    public enum Side: Hashable, Sendable {
        /// Before the store is asked.
        case before
        /// After the store did its work, before the caller learns of it.
        case after
    }

    private struct Spot: Hashable {
        var gate: Gate
        var side: Side
    }

    private struct State {
        var closed: Set<Spot> = []
        var waiting: [Spot: [CheckedContinuation<Void, Never>]] = [:]
        var failures: [Gate: StoreError] = [:]
    }

    private let inner: any LeaseStore
    private let state = Mutex(State())

    /// Passes everything on to `inner` until told otherwise.
    public init(_ inner: any LeaseStore) { self.inner = inner }

    /// Stops the next callers there.
    public func close(_ gate: Gate, _ side: Side) {
        state.withLock { _ = $0.closed.insert(Spot(gate: gate, side: side)) }
    }

    /// Lets those who wait there go on, and all later ones pass.
    public func open(_ gate: Gate, _ side: Side) {
        let spot = Spot(gate: gate, side: side)
        let waiting = state.withLock { state in
            state.closed.remove(spot)
            return state.waiting.removeValue(forKey: spot) ?? []
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Makes the calls of a gate fail; `nil` for no more.
    public func fail(_ gate: Gate, _ error: StoreError?) {
        state.withLock { $0.failures[gate] = error }
    }

    /// Waits until somebody waits there.
    ///
    /// - Returns: `false` if nobody came within ten real seconds.
    @discardableResult
    public func arrived(_ gate: Gate, _ side: Side) async -> Bool {
        await eventually { self.state.withLock { $0.waiting[Spot(gate: gate, side: side)]?.isEmpty == false } }
    }

    private func pass(_ gate: Gate, _ side: Side) async throws(StoreError) {
        let spot = Spot(gate: gate, side: side)
        if side == .before, let failure = state.withLock({ $0.failures[gate] }) { throw failure }
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                guard state.closed.contains(spot) else { return true }
                state.waiting[spot, default: []].append(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }

    private func gated<Value>(_ gate: Gate, _ question: () async throws(StoreError) -> Value)
        async throws(StoreError) -> Value
    {
        try await pass(gate, .before)
        let answer = try await question()
        try await pass(gate, .after)
        return answer
    }

    // Everything below passes on.

    /// Passed on.
    public func adopt(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await inner.adopt(lease)
    }

    /// Passed on.
    public var mode: StoreMode { inner.mode }
    /// Passed on, gated.
    public func lookup(_ key: LeaseKey) async throws(StoreError) -> StoreEntry? {
        try await gated(.lookup) { () async throws(StoreError) in try await inner.lookup(key) }
    }
    /// Passed on, gated.
    public func reserve(_ request: ReservationRequest) async throws(StoreError) -> ReserveOutcome {
        try await gated(.reserve) { () async throws(StoreError) in try await inner.reserve(request) }
    }
    /// Passed on, gated.
    public func commit(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await gated(.commit) { () async throws(StoreError) in try await inner.commit(lease) }
    }
    /// Passed on, gated.
    public func claimWarm(_ request: WarmClaimRequest) async throws(StoreError) -> WarmClaimOutcome {
        try await gated(.claimWarm) { () async throws(StoreError) in try await inner.claimWarm(request) }
    }
    /// Passed on.
    public func abandon(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        try await inner.abandon(key, token: token)
    }
    /// Passed on.
    public func detachIntent(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        try await inner.detachIntent(key, token: token)
    }
    /// Passed on, gated.
    public func release(_ key: LeaseKey, reason: KillReason) async throws(StoreError) -> ReleaseOutcome {
        try await gated(.release) { () async throws(StoreError) in try await inner.release(key, reason: reason) }
    }
    /// Passed on, gated.
    public func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason
    ) async throws(StoreError) -> KillTicket? {
        try await gated(.end) { () async throws(StoreError) in
            try await inner.end(key, epoch: epoch, idleFor: idleFor, reason: reason)
        }
    }
    /// Passed on.
    public func forget(_ key: LeaseKey, epoch: Epoch) async throws(StoreError) -> Bool {
        try await inner.forget(key, epoch: epoch)
    }
    /// Passed on, gated.
    public func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) async throws(StoreError) -> Bool {
        try await gated(.extend) { () async throws(StoreError) in
            try await inner.extend(key, epoch: epoch, remaining: remaining)
        }
    }
    /// Passed on.
    public func setPaused(
        _ key: LeaseKey,
        epoch: Epoch,
        paused: Bool,
        remaining: Duration
    ) async throws(StoreError) -> Bool {
        try await inner.setPaused(key, epoch: epoch, paused: paused, remaining: remaining)
    }
    /// Passed on, gated.
    public func touch(_ uses: [LeaseUse]) async throws(StoreError) {
        try await gated(.touch) { () async throws(StoreError) in try await inner.touch(uses) }
    }
    /// Passed on, gated.
    public func dueLeases(limit: Int) async throws(StoreError) -> [DueLease] {
        try await gated(.dueLeases) { () async throws(StoreError) in try await inner.dueLeases(limit: limit) }
    }
    /// Passed on.
    public func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket] {
        try await inner.dueKills(limit: limit, claim: claim)
    }
    /// Passed on.
    public func enqueueKill(_ ticket: KillTicket) async throws(StoreError) { try await inner.enqueueKill(ticket) }
    /// Passed on.
    public func confirmKilled(_ ticket: KillTicket) async throws(StoreError) -> Bool {
        try await inner.confirmKilled(ticket)
    }
    /// Passed on.
    public func deferKill(_ ticket: KillTicket, by delay: Duration) async throws(StoreError) {
        try await inner.deferKill(ticket, by: delay)
    }
    /// Passed on.
    public func dueIntents(limit: Int, claim: Duration) async throws(StoreError) -> [Intent] {
        try await inner.dueIntents(limit: limit, claim: claim)
    }
    /// Passed on.
    public func unaccounted(_ listed: [ListedSandbox]) async throws(StoreError) -> Set<SandboxID> {
        try await inner.unaccounted(listed)
    }
    /// Passed on.
    public func isTaken(_ slot: CreationToken) async throws(StoreError) -> Bool { try await inner.isTaken(slot) }
    /// Passed on.
    public func resolveIntent(_ intent: Intent, found: [SandboxID]) async throws(StoreError) {
        try await inner.resolveIntent(intent, found: found)
    }
    /// Passed on.
    public func list(user: String?, limit: Int, after cursor: String?) async throws(StoreError) -> LeasePage {
        try await inner.list(user: user, limit: limit, after: cursor)
    }
    /// Passed on.
    public func usage() -> StoreUsage { inner.usage() }
    /// Passed on.
    public func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount { try await inner.account(of: key) }
}
