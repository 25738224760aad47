public import Logging
internal import Synchronization

/// A shared store with a way to go on without it.
///
/// While the shared store answers, every call is its. When it does not, calls are refused or kept in books of this
/// process alone, as configured; leases in memory are served either way. When it is back, what was done meanwhile is
/// merged into it before the first call goes there again: of two sandboxes of one key the higher epoch wins, and the
/// other goes to the outbox. When it comes back without what it knew, every replica puts back what it knows.
public final class FailoverLeaseStore: LeaseStore {
    /// How to go on while the shared store is away.
    public enum OutagePolicy: Sendable, Hashable {
        /// Alone, with a replica's share of the limits.
        case degrade(replicas: Int)
        /// Not at all: calls fail.
        case refuse
    }

    /// Where calls go.
    enum Standing {
        /// Nobody knows yet whether the store answers.
        case starting
        /// To the shared store.
        case attached
        /// The shared store is being told what it lacks; calls wait.
        case merging
        /// To the books of this process, if there are any.
        case away(AloneBooks?)

        /// The same as a circuit breaker before the shared store.
        var breaker: BreakerState {
            switch self {
            case .attached: .closed
            case .starting, .merging: .halfOpen
            case .away: .open
            }
        }
    }

    /// The books of a process that is alone.
    final class AloneBooks: Sendable {
        let store: MemoryLeaseStore
        /// Sandboxes whose leases the shared store knew when the books were opened.
        let known: Set<SandboxID>

        init(store: MemoryLeaseStore, known: Set<SandboxID>) {
            self.store = store
            self.known = known
        }
    }

    struct State {
        var standing = Standing.starting {
            didSet {
                if standing.breaker != oldValue.breaker { observer.breakerChanged(.store, to: standing.breaker) }
            }
        }
        let observer: any ManagerObserver
        var journal = StoreJournal()
        var incarnation: String?
        var isComplete = false
        var merges = 0
        var edition: BooksEdition { BooksEdition(incarnation: incarnation ?? "", merges: merges) }
        var hearsEndings = false
        /// When the store went away; `nil` while it is there.
        var awaySince: MonotonicInstant?
        /// Creations that only the books of this process know; each as long as its slot is taken there.
        var reservedAlone: Set<CreationToken> = []
        /// Nobody is reaped before this: other replicas have to tell of uses first (I7).
        var reapsFrom: MonotonicInstant?
        /// Callers that wait for the end of starting or merging.
        var waiting: [OneShot<Void>] = []
        /// Somebody looks whether the shared store is there, or tells it what it lacks.
        var isMerging = false
    }

    /// An acquire spends at most this on waiting for the store.
    static let patience: Duration = .seconds(3)
    /// Pause between looks at the store.
    static let beatInterval: Duration = .milliseconds(500)
    /// How long other replicas have, after an outage, to tell of uses before anybody is reaped.
    static let longestReapPause: Duration = .seconds(10)

    let shared: any SharedLeaseStore
    let policy: OutagePolicy
    let runtime: Runtime
    let claim: Duration
    let log: Logger
    let observer: any ManagerObserver
    let state: Mutex<State>
    private let clientBox = Mutex(WeakClient())

    /// Joins the parts; ``run()`` connects.
    ///
    /// - Parameters:
    ///   - shared: The store of all replicas.
    ///   - policy: How to go on without it.
    ///   - claim: How long whoever ends a lease has the kill to themselves; a little over a kill's time limit.
    ///   - runtime: Clocks and spawning.
    ///   - observer: Hears of every change between attached, merging and away.
    ///   - log: Gets one line for each change between attached and away.
    public init(
        shared: any SharedLeaseStore,
        policy: OutagePolicy,
        claim: Duration = .seconds(20),
        runtime: Runtime,
        observer: any ManagerObserver = SilentObserver(),
        log: Logger = Logger(label: "store")
    ) {
        self.observer = observer
        state = Mutex(State(observer: observer))
        self.shared = shared
        self.policy = policy
        self.claim = claim
        self.runtime = runtime
        self.log = log
        shared.observe { [weak self] in self?.hear($0) }
    }

    /// `redis` while the shared store is asked, else `degraded`.
    public var mode: StoreMode {
        state.withLock { state in
            switch state.standing {
            case .attached, .merging, .starting: .redis
            case .away: .degraded
            }
        }
    }

    /// Open while the shared store is away, half open until it is known to be there and has heard what it lacks.
    public var breaker: BreakerState { state.withLock { $0.standing.breaker } }

    /// Whether the shared store is there and knows everything that runs.
    public var isComplete: Bool {
        state.withLock { state in
            if case .attached = state.standing { state.isComplete } else { false }
        }
    }

    /// See ``LeaseStore/join(_:)``.
    public func join(_ client: any LeaseStoreClient) { clientBox.withLock { $0.client = client } }

    var client: (any LeaseStoreClient)? { clientBox.withLock { $0.client } }

    // MARK: Asking

    /// Asks the shared store, or these books if it is away.
    ///
    /// - Parameters:
    ///   - question: What to ask the shared store.
    ///   - alone: The same, asked of the books of this process.
    ///   - note: What to write down of the answer; in one step with an answer of these books, so that a merge sees both.
    /// - Returns: The answer of whichever was asked.
    /// - Throws: What the shared store refused; that it is away, where work without it is refused; that it was lost
    ///   over and over.
    @discardableResult
    func ask<Value: Sendable>(
        _ question: (any SharedLeaseStore) async throws(StoreError) -> Value,
        alone: (MemoryLeaseStore) -> Value,
        note: (inout State, Value, _ isAlone: Bool, MonotonicInstant) -> Void = { _, _, _, _ in }
    ) async throws(StoreError) -> Value {
        let deadline = runtime.time.now() + Self.patience
        var failure = StoreError("the store is away")
        // Again after a loss was made good, or in the books of this process. A store may be lost more than once.
        for _ in 0..<8 {
            switch await settledStanding(until: deadline) {
            case .attached:
                do throws(StoreError) {
                    let value = try await question(shared)
                    let now = runtime.time.now()
                    state.withLock { note(&$0, value, false, now) }
                    return value
                } catch {
                    failure = error
                }
                switch failure.kind {
                case .refused, .cancelled: throw failure
                case .lost: await rejoin(afterLoss: true)
                case .unreachable: detach(because: failure)
                }
            case .starting:
                // It took too long to find out.
                detach(because: StoreError("the store does not answer"))
            case .merging:
                throw StoreError("the store is still being told what it lacks")
            case .away:
                let now = runtime.time.now()
                // In one step with the look at the standing: a merge sees all of it or none.
                let (value, isAway) = state.withLock { state -> (Value?, Bool) in
                    guard case .away(let books) = state.standing else { return (nil, false) }
                    guard let books else { return (nil, true) }
                    let value = alone(books.store)
                    note(&state, value, true, now)
                    return (value, true)
                }
                if let value { return value }
                if isAway {
                    observer.breakerRejected(.store)
                    throw StoreError("the store does not answer, and work without it is refused")
                }
            }
        }
        throw failure
    }

    /// The standing, once nobody works on it any more; at the deadline whatever it is.
    private func settledStanding(until deadline: MonotonicInstant) async -> Standing {
        let (standing, turn) = state.withLock { state -> (Standing, OneShot<Void>?) in
            switch state.standing {
            case .attached, .away: return (state.standing, nil)
            case .starting, .merging:
                guard runtime.time.now() < deadline else { return (state.standing, nil) }
                let turn = OneShot<Void>()
                state.waiting.append(turn)
                return (state.standing, turn)
            }
        }
        guard let turn else { return standing }
        let timer = runtime.spawner.spawn("store wait limit") { [time = runtime.time] in
            await time.sleep(until: deadline)
            turn.settle(())
        }
        await turn.value()
        timer.cancel()
        return state.withLock { $0.standing }
    }

    /// Whoever waited goes on; call it after the standing has changed.
    func resumeWaiting() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for turn in waiting { turn.settle(()) }
    }
}

/// Held weakly: the manager owns its store.
private struct WeakClient {
    weak var client: (any LeaseStoreClient)?
}
