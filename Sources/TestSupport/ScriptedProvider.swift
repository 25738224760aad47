public import SandboxCore
internal import Synchronization

/// A provider whose calls are recorded and end as, and when, the test wants.
///
/// Left alone it behaves well: sandboxes live in memory until they are killed. ``script(_:_:)`` decides how the next
/// calls of an operation end, ``always(_:_:)`` all others; ``hold(_:)`` parks calls until the test, having got them
/// with ``nextHeld(_:)``, says how each goes on.
public final class ScriptedProvider: SandboxProvider {
    /// How a call ends.
    public enum Decision: Sendable {
        /// As a good provider would end it.
        case proceed
        /// With this failure, and without effect.
        case fail(ProviderError)
        /// It takes effect, but the reply is lost on the way.
        case proceedThenFail(ProviderError)
        /// For probes only.
        case verdict(HealthVerdict)
    }

    /// A call that waits for the test's word.
    public struct HeldCall: Sendable {
        /// What was asked.
        public let call: Call
        fileprivate let decide: @Sendable (Decision) -> Void

        /// Lets the call go on. Later words are ignored.
        public func resume(_ decision: Decision = .proceed) { decide(decision) }
    }

    /// One call as it came in.
    public struct Call: Sendable {
        /// Which operation.
        public var operation: ProviderOperation
        /// Of which sandbox; `nil` for create and list.
        public var sandbox: SandboxID?
        /// The order, of a create.
        public var order: CreateRequest?
        /// The life asked for, of connect and extend.
        public var life: Duration?
        /// The time limit that came along.
        public var timeout: Duration
        /// What a list asked for.
        public var filter: SandboxFilter?
    }

    /// A sandbox that lives here.
    public struct Live: Sendable {
        /// What was ordered.
        public var order: CreateRequest
        /// How to reach it.
        public var sandbox: ProviderSandbox
        /// Whether it runs.
        public var state: SandboxState
        /// When it would end by itself; this fake lets it live on.
        public var expiry: MonotonicInstant
        /// When it was started.
        public var startedAt: WallTime
        /// What its probes say.
        public var verdict: HealthVerdict
    }

    struct State {
        var calls: [Call] = []
        var live: [SandboxID: Live] = [:]
        var lastID = 0
        var peak = 0
        var userPeaks: [String: Int] = [:]
        var scripts: [ProviderOperation: [Decision]] = [:]
        var defaults: [ProviderOperation: Decision] = [:]
        var heldOperations: Set<ProviderOperation> = []
        var held: [(id: Int, call: Call)] = []
        var handedOut: Set<Int> = []
        var waiting: [Int: CheckedContinuation<Decision, Never>] = [:]
        var early: [Int: Decision] = [:]
        var lastHold = 0
        var grantShortfall: Duration = .zero
        var hidesFromLists = false
        var ignoresListFilters = false
        var ghosts: [Live] = []
        var unlabelled: Set<SandboxID> = []
        var ignoresCancellation = false
        var isShutDown = false
    }

    let state = Mutex(State())
    let time: any TimeSource
    /// `scripted`.
    public let name = "scripted"
    /// What the test gave.
    public let capabilities: ProviderCapabilities

    /// - Parameters:
    ///   - time: For expiries.
    ///   - capabilities: What to claim.
    public init(
        time: any TimeSource,
        capabilities: ProviderCapabilities = ProviderCapabilities(canPause: true, outlivesProcess: true)
    ) {
        self.time = time
        self.capabilities = capabilities
    }

    // MARK: What the test decides

    /// Decides how the next calls of `operation` end, in order.
    public func script(_ operation: ProviderOperation, _ decisions: Decision...) {
        state.withLock { $0.scripts[operation, default: []] += decisions }
    }

    /// Decides how calls of `operation` end that no script covers; `nil` for good behaviour.
    public func always(_ operation: ProviderOperation, _ decision: Decision?) {
        state.withLock { $0.defaults[operation] = decision }
    }

    /// Parks all further calls of `operation`.
    public func hold(_ operation: ProviderOperation) {
        state.withLock { _ = $0.heldOperations.insert(operation) }
    }

    /// Parks no further calls of `operation`; those that wait go on waiting.
    public func unhold(_ operation: ProviderOperation) {
        state.withLock { _ = $0.heldOperations.remove(operation) }
    }

    /// Whether held calls go on waiting when their task is cancelled.
    public func ignoreCancellation(_ ignores: Bool) {
        state.withLock { $0.ignoresCancellation = ignores }
    }

    /// Sets what the probes of one sandbox say.
    public func setVerdict(_ verdict: HealthVerdict, of id: SandboxID) {
        state.withLock { $0.live[id]?.verdict = verdict }
    }

    /// Makes lists answer "none" although there are some.
    public func hideFromLists(_ hides: Bool) {
        state.withLock { $0.hidesFromLists = hides }
    }

    /// Makes lists name every sandbox with labels, whatever was asked for.
    public func ignoreListFilters(_ ignores: Bool) {
        state.withLock { $0.ignoresListFilters = ignores }
    }

    /// Makes lists name a sandbox even after its death, as one that was drawn up before would.
    public func keepInLists(_ id: SandboxID) {
        state.withLock { state in
            if let live = state.live[id] { state.ghosts.append(live) }
        }
    }

    /// Makes extensions grant less than was asked for.
    public func grantLess(by shortfall: Duration) {
        state.withLock { $0.grantShortfall = shortfall }
    }

    /// Ends a sandbox behind everybody's back.
    public func vanish(_ id: SandboxID) {
        state.withLock { _ = $0.live.removeValue(forKey: id) }
    }

    /// Puts a sandbox in that nobody asked for here.
    @discardableResult
    public func plant(_ order: CreateRequest) -> SandboxID {
        state.withLock { Self.make(order, in: &$0, time: time).id }
    }

    /// Puts a sandbox in that carries no labels of ours, only its order's metadata, as an earlier manager made them.
    @discardableResult
    public func plantUnlabelled(_ order: CreateRequest) -> SandboxID {
        state.withLock { state in
            let id = Self.make(order, in: &state, time: time).id
            state.unlabelled.insert(id)
            return id
        }
    }

    /// Waits for a held call of `operation` that was not handed out before.
    ///
    /// - Returns: `nil` if none came within ten real seconds.
    public func nextHeld(_ operation: ProviderOperation) async -> HeldCall? {
        var found: HeldCall?
        await eventually {
            found = self.takeHeld(operation)
            return found != nil
        }
        return found
    }

    private func takeHeld(_ operation: ProviderOperation) -> HeldCall? {
        let entry = state.withLock { state -> (id: Int, call: Call)? in
            let entry = state.held.first { $0.call.operation == operation && !state.handedOut.contains($0.id) }
            if let entry { state.handedOut.insert(entry.id) }
            return entry
        }
        return entry.map { entry in HeldCall(call: entry.call) { self.decide(entry.id, $0) } }
    }

    // MARK: What the test reads

    /// All calls so far.
    public var calls: [Call] { state.withLock { $0.calls } }
    /// How often `operation` was called.
    public func count(of operation: ProviderOperation) -> Int {
        state.withLock { $0.calls.count { $0.operation == operation } }
    }
    /// The sandboxes that live.
    public var live: [SandboxID: Live] { state.withLock { $0.live } }
    /// The most that lived at once.
    public var peak: Int { state.withLock { $0.peak } }
    /// The most that lived at once for one user.
    public func peak(ofUser user: String) -> Int { state.withLock { $0.userPeaks[user] ?? 0 } }
    /// Whether ``shutdown()`` was called.
    public var isShutDown: Bool { state.withLock { $0.isShutDown } }

    // MARK: Holding

    /// Records the call and finds out how it is to end, waiting for the test if need be.
    func decision(_ call: Call) async -> Decision {
        let (decision, hold) = state.withLock { state -> (Decision, Int?) in
            state.calls.append(call)
            if state.heldOperations.contains(call.operation) {
                state.lastHold += 1
                state.held.append((state.lastHold, call))
                return (.proceed, state.lastHold)
            }
            if let scripts = state.scripts[call.operation], let first = scripts.first {
                state.scripts[call.operation] = Array(scripts.dropFirst())
                return (first, nil)
            }
            return (state.defaults[call.operation] ?? .proceed, nil)
        }
        guard let hold else { return decision }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> Decision? in
                    if let early = state.early[hold] { return early }
                    state.waiting[hold] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            guard !state.withLock({ $0.ignoresCancellation }) else { return }
            let isProbe = call.operation == .health
            let given = ProviderError(call.operation, .cancelled, "cancelled", effect: .unknown)
            decide(hold, isProbe ? .verdict(.cancelled) : .fail(given))
        }
    }

    private func decide(_ hold: Int, _ decision: Decision) {
        let continuation = state.withLock { state -> CheckedContinuation<Decision, Never>? in
            guard state.early[hold] == nil else { return nil }
            state.early[hold] = decision
            state.held.removeAll { $0.id == hold }
            return state.waiting.removeValue(forKey: hold)
        }
        continuation?.resume(returning: decision)
    }

    static func make(_ order: CreateRequest, in state: inout State, time: any TimeSource) -> ProviderSandbox {
        state.lastID += 1
        let sandbox = ProviderSandbox(
            id: SandboxID("sb\(state.lastID)"),
            template: order.template,
            domain: "sandbox.test",
            envdAccessToken: Secret("envd-\(state.lastID)"),
            remainingLife: order.life
        )
        state.live[sandbox.id] = Live(
            order: order,
            sandbox: sandbox,
            state: .running,
            expiry: time.now() + order.life,
            startedAt: time.wallNow(),
            verdict: .alive
        )
        state.peak = max(state.peak, state.live.count)
        let user = order.labels.key.user
        let own = state.live.values.count { $0.order.labels.key.user == user }
        state.userPeaks[user] = max(state.userPeaks[user] ?? 0, own)
        return sandbox
    }
}
