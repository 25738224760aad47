internal import SandboxCore
internal import StandIns

/// Holds everything against what really happens, after every step. The first violation ends the run.
///
/// Confined to the simulation's thread.
final class Checker: @unchecked Sendable {
    /// A request of a client under way.
    final class Ask: @unchecked Sendable {
        let name: String
        let key: LeaseKey
        let process: SimulatedProcess
        let began: Int64
        let stalledBefore: Int64
        var isAnswered = false

        init(name: String, key: LeaseKey, process: SimulatedProcess, began: Int64) {
            self.name = name
            self.key = key
            self.process = process
            self.began = began
            stalledBefore = process.stalledFor
        }
    }

    unowned let world: World
    var now: Int64 { world.timeline.now }
    private(set) var violation: Violation?
    private(set) var asks = 0
    /// What the checks saw, for the report: a run in which nothing happened proves nothing.
    var counts = Counts()

    // Leases, see Checker+Leases.swift.
    var keys: [LeaseKey: KeyBook] = [:]
    var uses: [SandboxID: Use] = [:]
    var owners: [SandboxID: LeaseKey] = [:]
    var probes: [SandboxID: [String: ProbeSeries]] = [:]

    // Slots, see Checker+Slots.swift.
    var slotted: Set<CreationToken> = []
    var reserved: Set<CreationToken> = []
    var claimed: Set<CreationToken> = []
    /// Books and world may differ by more than what is under way: a loss, an outage in which replicas went on alone.
    var isUnsettled = false
    var unsettledSince: Int64 = 0

    // Reach, see Checker+Reach.swift.
    var unaccountedSince: [SandboxID: Int64] = [:]
    var lastTick: Int64 = 0

    struct Counts {
        var grants = 0
        var created = 0
        var ended = 0
        var losses = 0
        var crashes = 0
    }

    init(world: World) {
        self.world = world
        world.cloud.onBirth = { [unowned self] in born($0) }
        world.cloud.onProbe = { [unowned self] in probing($0, by: $1) }
        world.cloud.onProbedWell = { [unowned self] in probedWell($0, by: $1) }
        world.cloud.onDeath = { [unowned self] machine, _ in died(machine) }
        world.store.onEffect = { [unowned self] call, wire in stored(call, wire) }
    }

    func violated(_ code: String, _ key: LeaseKey?, _ text: String) {
        guard violation == nil else { return }
        world.history.note(key, "VIOLATION \(code): \(text)")
        violation = Violation(code: code, text: text, key: key?.canonical, events: world.history.last(of: key))
    }

    // MARK: Requests (I9)

    func asked(_ name: String, _ key: LeaseKey, _ process: SimulatedProcess) -> Ask {
        asks += 1
        let ask = Ask(name: name, key: key, process: process, began: now)
        world.history.note(key, "\(process.name): \(name) \(key)")
        watch(ask)
        return ask
    }

    func answered(_ ask: Ask, _ outcome: String) {
        ask.isAnswered = true
        world.history.note(ask.key, "\(ask.process.name): \(ask.name) \(ask.key) -> \(outcome)")
    }

    /// The longest that a call may take: its deadline, and what goes on behind the lock after it.
    private var bound: Int64 {
        let configuration = world.scenario.configuration
        // Once it has the lock: two looks at the store, a call of the provider or two, and the store again.
        let work = configuration.killTimeout + configuration.connectTimeout * 3 + configuration.healthTimeout
        return (configuration.requestDeadline + work + .seconds(5 * 4)).nanoseconds
    }

    private func watch(_ ask: Ask) {
        let stalled = ask.process.stalledFor - ask.stalledBefore
        world.timeline.at(ask.began + bound + stalled) { [unowned self] in
            guard !ask.isAnswered, ask.process.isAlive else { return }
            if ask.process.stalledFor - ask.stalledBefore > stalled { return watch(ask) }
            violated(
                "I9",
                ask.key,
                "\(ask.name) of \(ask.key) at \(ask.process.name) has no answer after \((now - ask.began).asSeconds) s"
            )
        }
    }

    func processDied(_ process: SimulatedProcess) { counts.crashes += 1 }

    // MARK: After every step

    func afterStep() {
        checkLocks()
        for replica in world.replicas {
            guard let store = replica.life?.shared?.store else { continue }
            if store.breaker != .closed { replica.lastNotAttached = now }
        }
        if world.scenario.store == .embedded { checkEmbeddedBooks() }
        if isUnsettledNow, !isUnsettled {
            isUnsettled = true
            unsettledSince = now
        }
        if now - lastTick >= .seconds(1) {
            lastTick = now
            tick()
        }
    }

    /// A lock exists only while somebody works under it (I6).
    private func checkLocks() {
        for replica in world.replicas {
            guard let life = replica.life else { continue }
            let observer = life.observer
            guard observer.locks <= observer.operations, observer.locks >= 0 else {
                violated(
                    "I6",
                    nil,
                    "\(life.process.name) has \(observer.locks) user locks and \(observer.operations) operations"
                )
                return
            }
        }
    }
}

/// What a run broke.
public struct Violation: Sendable, Equatable {
    /// The invariant.
    public var code: String
    /// What happened, in words.
    public var text: String
    /// Whose, if of one key.
    public var key: String?
    /// The last lines of that key's history.
    public var events: [String]
}
