public import SandboxCore
internal import Synchronization

/// Sandboxes that exist only as entries of a table: for tests, drills and benchmarks of everything else.
///
/// They live and expire like real ones; nothing can run inside. They do not outlive the process.
public final class SimulatedProvider: SandboxProvider {
    /// How the simulation behaves.
    public struct Behaviour: Sendable {
        /// How long a create takes.
        public var createLatency: Duration = .milliseconds(5)
        /// How long a probe takes.
        public var healthLatency: Duration = .zero
        /// How long a kill takes.
        public var killLatency: Duration = .zero
        /// The one template there is.
        public var template = "base"

        /// Quick and faultless.
        public init() {}
    }

    private struct Entry {
        var request: CreateRequest
        var startedAt: WallTime
        var expiry: MonotonicInstant
        var state = SandboxState.running
    }

    private struct State {
        var entries: [SandboxID: Entry] = [:]
        var peak = 0
        /// No running entry expires before this.
        var noExpiryBefore = MonotonicInstant(sinceZero: .zero)
    }

    private let state = Mutex(State())
    private let behaviour: Behaviour
    private let time: any TimeSource
    private let random: any RandomSource

    /// An empty simulation.
    public init(behaviour: Behaviour = Behaviour(), time: any TimeSource, random: any RandomSource) {
        self.behaviour = behaviour
        self.time = time
        self.random = random
    }

    /// `simulated`.
    public var name: String { "simulated" }

    /// Can pause; nothing outlives the process.
    public var capabilities: ProviderCapabilities { ProviderCapabilities(canPause: true, outlivesProcess: false) }

    /// How many sandboxes live.
    public var count: Int { living { $0.entries.count } }

    /// The most that ever lived at once.
    public var peak: Int { living { $0.peak } }

    /// Ends a sandbox behind the manager's back, as an expiry or an operator would.
    public func vanish(_ id: SandboxID) {
        living { $0.entries[id] = nil }
    }

    /// Makes an entry after the latency.
    public func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        guard request.template == behaviour.template else {
            throw ProviderError(.create, .http(status: 404), "there is no template of that name", effect: .none)
        }
        try await latency(behaviour.createLatency, .create, timeout)
        let id = SandboxID("s" + String(random.next(), radix: 36) + String(random.next(), radix: 36))
        let entry = Entry(request: request, startedAt: time.wallNow(), expiry: time.now() + request.life)
        living { state in
            state.entries[id] = entry
            state.noExpiryBefore = min(state.noExpiryBefore, entry.expiry)
            state.peak = max(state.peak, state.entries.count)
        }
        return sandbox(id, entry)
    }

    /// Describes an entry.
    public func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        living { $0.entries[id] }.map { info(id, $0) }
    }

    /// Describes the entries that match.
    public func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        living { $0.entries }
            .filter { _, entry in
                let labels = entry.request.labels
                return switch filter {
                case .environment(let environment): labels.environment == environment
                case .token(let token, let environment): labels.token == token && labels.environment == environment
                case .key(let key, let environment): labels.key == key && labels.environment == environment
                }
            }
            .map { info($0, $1) }
    }

    /// Resumes a paused entry; never shortens a life.
    public func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        let now = time.now()
        let found: (Entry, Bool)? = living { state in
            guard var entry = state.entries[id] else { return nil }
            let resumed = entry.state == .paused
            entry.expiry = resumed ? now + life : max(entry.expiry, now + life)
            state.noExpiryBefore = min(state.noExpiryBefore, entry.expiry)
            entry.state = .running
            state.entries[id] = entry
            return (entry, resumed)
        }
        guard let (entry, resumed) = found else { throw gone(.connect) }
        return ConnectedSandbox(sandbox: sandbox(id, entry), resumed: resumed)
    }

    /// Moves the expiry of a running entry.
    public func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        let expiry = time.now() + life
        let isRunning = living { state in
            guard state.entries[id]?.state == .running else { return false }
            state.entries[id]?.expiry = expiry
            state.noExpiryBefore = min(state.noExpiryBefore, expiry)
            return true
        }
        guard isRunning else { throw gone(.extend) }
        return life
    }

    /// Marks an entry paused.
    public func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        let exists = living { state in
            guard state.entries[id] != nil else { return false }
            state.entries[id]?.state = .paused
            return true
        }
        guard exists else { throw gone(.pause) }
    }

    /// Removes an entry after the latency.
    public func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        try await latency(behaviour.killLatency, .kill, timeout)
        let removed = living { state in
            defer { state.entries.giveRoomBack() }
            return state.entries.removeValue(forKey: id)
        }
        return removed == nil ? .alreadyGone : .killed
    }

    /// Alive, paused or gone, after the latency.
    public func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        let wait = min(behaviour.healthLatency, timeout)
        if wait > .zero { await time.sleep(for: wait) }
        if Task.isCancelled { return .cancelled }
        if behaviour.healthLatency > timeout { return .timedOut(after: timeout) }
        return switch living({ $0.entries[sandbox.id]?.state }) {
        case .running: .alive
        case .paused: .paused
        case nil: .gone
        }
    }

    /// Nothing can run inside a simulation.
    public func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        throw ProviderError(.exec, .unsupported, "simulated sandboxes cannot run commands", effect: .none)
    }

    /// Forgets everything.
    public func shutdown() async {
        living { $0.entries = [:] }
    }

    /// The table, without what has expired.
    private func living<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        let now = time.now()
        return state.withLock { state in
            if now >= state.noExpiryBefore {
                var expired: [SandboxID] = []
                var next = now + .seconds(3600)
                for (id, entry) in state.entries where entry.state == .running {
                    if entry.expiry <= now { expired.append(id) } else { next = min(next, entry.expiry) }
                }
                for id in expired { state.entries[id] = nil }
                // Looked at again when the first can expire. Whoever moves a life forward moves this too.
                state.noExpiryBefore = next
            }
            return body(&state)
        }
    }

    /// Waits before anything has happened, so that a call given up has had no effect.
    private func latency(
        _ duration: Duration,
        _ operation: ProviderOperation,
        _ timeout: Duration
    ) async throws(ProviderError) {
        guard duration > .zero else { return }
        await time.sleep(for: min(duration, timeout))
        if Task.isCancelled { throw ProviderError(operation, .cancelled, "given up", effect: .none) }
        if duration > timeout {
            throw ProviderError(operation, .timedOut(after: timeout), "no answer within \(timeout)", effect: .none)
        }
    }

    private func sandbox(_ id: SandboxID, _ entry: Entry) -> ProviderSandbox {
        ProviderSandbox(id: id, template: entry.request.template, remainingLife: entry.expiry - time.now())
    }

    private func info(_ id: SandboxID, _ entry: Entry) -> SandboxInfo {
        SandboxInfo(
            sandbox: sandbox(id, entry),
            state: entry.state,
            startedAt: entry.startedAt,
            metadata: entry.request.metadata,
            labels: entry.request.labels
        )
    }

    private func gone(_ operation: ProviderOperation) -> ProviderError {
        ProviderError(operation, .gone, "there is no such sandbox", effect: .none)
    }
}
