public import SandboxCore
internal import Synchronization

/// A stand-in for a shared store's server: it can lose everything, and every replica has a connection of its own.
public final class StandInServer: Sendable {
    struct State {
        var books: MemoryLeaseStore
        var incarnation = 1
        var isComplete = false
        var connections: [StandInSharedStore] = []
        /// How many more calls it answers before it forgets everything.
        var callsUntilLoss: Int?
        /// Ids that an earlier manager noted; they count only where the books hold nothing.
        var notedIDs: [LeaseKey: SandboxID] = [:]
        var duties: [Duty: (holder: ObjectIdentifier, until: MonotonicInstant)] = [:]
    }

    let state: Mutex<State>
    let time: any TimeSource

    /// Counts a call, which may be the last before a loss.
    func books(forCallTo incarnation: Int?) -> MemoryLeaseStore? {
        state.withLock { state in
            if let left = state.callsUntilLoss, incarnation == state.incarnation {
                state.callsUntilLoss = left > 0 ? left - 1 : nil
                if left == 0 { state.lose(time) }
            }
            return incarnation == state.incarnation ? state.books : nil
        }
    }

    /// An empty server.
    public init(time: any TimeSource) {
        self.time = time
        state = Mutex(State(books: MemoryLeaseStore(time: time)))
    }

    /// What it holds now, to look at and to change behind everybody's back.
    public var books: MemoryLeaseStore { state.withLock { $0.books } }

    /// Whether some replica said that its books are complete.
    public var isComplete: Bool { state.withLock { $0.isComplete } }

    /// Forgets everything, as a flush or an empty restart does.
    public func lose() {
        state.withLock { $0.lose(time) }
    }

    /// Forgets everything again, as soon as it has answered so many more calls.
    public func lose(afterCalls calls: Int) {
        state.withLock { $0.callsUntilLoss = calls }
    }

    /// Notes an id for a key as an earlier manager did.
    public func note(_ sandbox: SandboxID, for key: LeaseKey) {
        state.withLock { $0.notedIDs[key] = sandbox }
    }

    func takeDuty(_ duty: Duty, for term: Duration, by replica: ObjectIdentifier) -> Bool {
        let now = time.now()
        return state.withLock { state in
            if let held = state.duties[duty], held.holder != replica, held.until > now { return false }
            state.duties[duty] = (replica, now + term)
            return true
        }
    }

    func noted(for key: LeaseKey) -> StoreEntry? {
        state.withLock { $0.notedIDs[key] }.map { .unverified($0) }
    }

    /// Opens a connection for one replica; what it says passes over `wire`, if there is one.
    public func connect(over wire: (any StandInWire)? = nil) -> StandInSharedStore {
        let connection = StandInSharedStore(server: self, wire: wire)
        state.withLock { $0.connections.append(connection) }
        return connection
    }

    /// The replica behind a connection is gone.
    public func disconnect(_ connection: StandInSharedStore) {
        state.withLock { $0.connections.removeAll { $0 === connection } }
    }

    func tell(_ notice: StoreNotice, except sender: StandInSharedStore) {
        for connection in state.withLock({ $0.connections }) where connection !== sender { connection.hear(notice) }
    }
}

extension StandInServer.State {
    mutating func lose(_ time: any TimeSource) {
        books = MemoryLeaseStore(time: time)
        incarnation += 1
        isComplete = false
    }
}

/// One replica's connection to a ``StandInServer``. It can break, before a call or after it took effect.
public final class StandInSharedStore: SharedLeaseStore {
    /// What happens to calls.
    public enum Fault: Sendable, Hashable {
        /// They never arrive.
        case unreachable
        /// They take effect, but nobody hears of it.
        case repliesLost
        /// The server refuses them.
        case refused
    }

    private struct State {
        var fault: Fault?
        var attachedTo: Int?
        var hear: (@Sendable (StoreNotice) -> Void)?
        var calls = 0
    }

    private let server: StandInServer
    private let wire: (any StandInWire)?
    private let state = Mutex(State())

    init(server: StandInServer, wire: (any StandInWire)?) {
        self.server = server
        self.wire = wire
    }

    /// Breaks or mends the connection.
    public func fail(_ fault: Fault?) { state.withLock { $0.fault = fault } }

    /// How many calls were tried.
    public var calls: Int { state.withLock { $0.calls } }

    func hear(_ notice: StoreNotice) {
        guard let hear = state.withLock({ $0.hear }) else { return }
        if let wire { wire.deliver(notice, hear) } else { hear(notice) }
    }

    /// Passes a notice on as if the server had sent it.
    public func say(_ notice: StoreNotice) { hear(notice) }

    private func carry<Value: Sendable>(
        _ call: StandInCall,
        _ effect: @escaping @Sendable () -> Result<Value, StoreError>
    ) async throws(StoreError) -> Value {
        let fault = state.withLock { state in
            state.calls += 1
            return state.fault
        }
        switch fault {
        case .unreachable: throw StoreError("no answer")
        case .refused: throw StoreError("refused", kind: .refused)
        case .repliesLost, nil: break
        }
        let outcome = if let wire { await wire.carry(call, effect) } else { effect() }
        let value = try outcome.get()
        if fault == .repliesLost { throw StoreError("no reply") }
        return value
    }

    private func call<Value: Sendable>(
        _ name: String,
        _ key: LeaseKey? = nil,
        _ work: @escaping @Sendable (MemoryLeaseStore) -> Value
    ) async throws(StoreError) -> Value {
        let attachedTo = state.withLock { $0.attachedTo }
        return try await carry(StandInCall(name, key)) { [server] in
            guard let books = server.books(forCallTo: attachedTo) else {
                return .failure(StoreError("another one", kind: .lost))
            }
            return .success(work(books))
        }
    }

    /// A call that the other replicas hear of, if it ends or changes a lease.
    private func publishing<Value: Sendable>(
        _ name: String,
        _ key: LeaseKey,
        isChange: @escaping @Sendable (Value) -> Bool = { _ in false },
        _ work: @escaping @Sendable (MemoryLeaseStore) -> Value
    ) async throws(StoreError) -> Value {
        try await call(name, key) { [server] books in
            let before = books.epoch(of: key)
            let value = work(books)
            if let before, books.epoch(of: key) != before || isChange(value) {
                server.tell(.ended(key, before), except: self)
            }
            return value
        }
    }
}

extension MemoryLeaseStore {
    fileprivate func epoch(of key: LeaseKey) -> Epoch? {
        if case .lease(let record) = lookup(key) { record.epoch } else { nil }
    }
}

extension StandInSharedStore {
    // What only a shared store has.

    /// Notes who listens.
    public func observe(_ hear: @escaping @Sendable (StoreNotice) -> Void) {
        state.withLock { $0.hear = hear }
    }

    /// Says that endings are heard, which they are.
    public func listen() async {
        guard let wire else { return hear(.listening) }
        guard let hear = state.withLock({ $0.hear }) else { return }
        await wire.listen(hear)
    }

    /// Learns which incarnation the server is.
    public func attach() async throws(StoreError) -> StoreAttachment {
        guard state.withLock({ $0.fault }) == nil else { throw StoreError("no answer") }
        let (incarnation, isComplete) = try await carry(StandInCall("attach")) { [server] in
            .success(server.state.withLock { ($0.incarnation, $0.isComplete) })
        }
        state.withLock { $0.attachedTo = incarnation }
        return StoreAttachment(incarnation: String(incarnation), isComplete: isComplete)
    }

    /// Asks something harmless.
    public func beat() async throws(StoreError) { _ = try await call("beat") { $0.usage() } }

    /// Passed on; the others hear of what it replaces, and of what is superseded.
    public func restore(_ lease: LeaseRecord) async throws(StoreError) -> RestoreOutcome {
        try await publishing("restore", lease.key) { [server] books in
            let outcome = books.restore(lease)
            if outcome == .superseded { server.tell(.ended(lease.key, lease.epoch), except: self) }
            return outcome
        }
    }
    /// Passed on.
    public func restore(_ intent: RestoredIntent) async throws(StoreError) {
        try await call("restore", intent.request.key) { $0.restore(intent) }
    }
    /// Passed on.
    public func restore(_ kill: KillTicket, isDead: Bool) async throws(StoreError) {
        guard let key = kill.key else { return try await call("restore") { $0.restore(kill, isDead: isDead) } }
        try await publishing("restore", key) { $0.restore(kill, isDead: isDead) }
    }
    /// Passed on; the books do everything in one step.
    public func repair(from cursor: String?) async throws(StoreError) -> RepairedSlots {
        try await call("repair") { $0.repair(from: cursor) }
    }
    /// Noted for whoever attaches later.
    public func markComplete(_ incarnation: String) async throws(StoreError) {
        let isSame = try await call("markComplete") { [server] _ in
            server.state.withLock { state in
                guard incarnation == String(state.incarnation) else { return false }
                state.isComplete = true
                return true
            }
        }
        guard isSame else { throw StoreError("another one", kind: .lost) }
    }
    /// Nothing to close.
    public func close() async {}
}

extension StandInSharedStore {
    // Everything else passes on.

    /// Always `redis`.
    public var mode: StoreMode { .redis }
    /// Passed on; where the books hold nothing, what an earlier manager noted counts.
    public func lookup(_ key: LeaseKey) async throws(StoreError) -> StoreEntry? {
        try await call("lookup", key) { $0.lookup(key) } ?? server.noted(for: key)
    }
    /// Passed on.
    public func reserve(_ request: ReservationRequest) async throws(StoreError) -> ReserveOutcome {
        try await call("reserve", request.key) { $0.reserve(request) }
    }
    /// Passed on.
    public func commit(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await call("commit", lease.key) { $0.commit(lease) }
    }
    /// Passed on.
    public func adopt(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await call("adopt", lease.key) { $0.adopt(lease) }
    }
    /// Passed on.
    public func claimWarm(_ request: WarmClaimRequest) async throws(StoreError) -> WarmClaimOutcome {
        try await call("claimWarm", request.key) { $0.claimWarm(request) }
    }
    /// Passed on.
    public func abandon(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        try await call("abandon", key) { $0.abandon(key, token: token) }
    }
    /// Passed on.
    public func detachIntent(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        try await call("detachIntent", key) { $0.detachIntent(key, token: token) }
    }
    /// Passed on; the others hear of it.
    public func release(_ key: LeaseKey, reason: KillReason) async throws(StoreError) -> ReleaseOutcome {
        try await publishing("release", key) { $0.release(key, reason: reason) }
    }
    /// Passed on; the others hear of it.
    public func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason
    ) async throws(StoreError) -> KillTicket? {
        try await publishing("end", key) { $0.end(key, epoch: epoch, idleFor: idleFor, reason: reason) }
    }
    /// Passed on; the others hear of it.
    public func forget(_ key: LeaseKey, epoch: Epoch) async throws(StoreError) -> Bool {
        try await publishing("forget", key) { $0.forget(key, epoch: epoch) }
    }
    /// Passed on.
    public func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) async throws(StoreError) -> Bool {
        try await call("extend", key) { $0.extend(key, epoch: epoch, remaining: remaining) }
    }
    /// Passed on; the others hear of it.
    public func setPaused(
        _ key: LeaseKey,
        epoch: Epoch,
        paused: Bool,
        remaining: Duration
    ) async throws(StoreError) -> Bool {
        try await publishing("setPaused", key, isChange: { $0 }) {
            $0.setPaused(key, epoch: epoch, paused: paused, remaining: remaining)
        }
    }
    /// Passed on.
    public func touch(_ uses: [LeaseUse]) async throws(StoreError) { try await call("touch") { $0.touch(uses) } }
    /// Passed on.
    public func dueLeases(limit: Int) async throws(StoreError) -> [DueLease] {
        try await call("dueLeases") { $0.dueLeases(limit: limit) }
    }
    /// Passed on.
    public func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket] {
        try await call("dueKills") { $0.dueKills(limit: limit, claim: claim) }
    }
    /// Passed on.
    public func enqueueKill(_ ticket: KillTicket) async throws(StoreError) {
        try await call("enqueueKill", ticket.key) { $0.enqueueKill(ticket) }
    }
    /// Passed on.
    public func confirmKilled(_ ticket: KillTicket) async throws(StoreError) -> Bool {
        try await call("confirmKilled", ticket.key) { $0.confirmKilled(ticket) }
    }
    /// Passed on.
    public func deferKill(_ ticket: KillTicket, by delay: Duration) async throws(StoreError) {
        try await call("deferKill", ticket.key) { $0.deferKill(ticket, by: delay) }
    }
    /// Passed on.
    public func dueIntents(limit: Int, claim: Duration) async throws(StoreError) -> [Intent] {
        try await call("dueIntents") { $0.dueIntents(limit: limit, claim: claim) }
    }
    /// Passed on.
    public func isTaken(_ slot: CreationToken) async throws(StoreError) -> Bool {
        try await call("isTaken") { $0.isTaken(slot) }
    }
    /// Passed on.
    public func unaccounted(_ listed: [ListedSandbox]) async throws(StoreError) -> Set<SandboxID> {
        try await call("unaccounted") { $0.unaccounted(listed) }
    }
    /// Whoever asks first has it, as long as they ask in time.
    public func takeDuty(_ duty: Duty, for term: Duration) async throws(StoreError) -> Bool {
        try await call("takeDuty") { _ in self.server.takeDuty(duty, for: term, by: ObjectIdentifier(self)) }
    }
    /// Passed on.
    public func resolveIntent(_ intent: Intent, found: [SandboxID]) async throws(StoreError) {
        try await call("resolveIntent", intent.key) { $0.resolveIntent(intent, found: found) }
    }
    /// Passed on.
    public func list(user: String?, limit: Int, after cursor: String?) async throws(StoreError) -> LeasePage {
        try await call("list") { $0.list(user: user, limit: limit, after: cursor) }
    }
    /// Passed on.
    public func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount {
        try await call("account", key) { $0.account(of: key) }
    }
    /// Of the server, or zero while it is away.
    public func usage() -> StoreUsage { server.books.usage() }
}
