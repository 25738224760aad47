internal import SandboxCore

/// The provider's side of the world: what really runs, whatever anybody believes.
///
/// Confined to the simulation's thread.
final class SimulatedCloud: @unchecked Sendable {
    /// A sandbox, living or dead.
    final class Machine {
        enum Condition {
            case running, paused, dead
        }

        let id: SandboxID
        let labels: SandboxLabels
        let born: Int64
        /// Listings show it from then on.
        let listedFrom: Int64
        var condition = Condition.running
        /// When it was started or last resumed.
        var startedAt: Int64
        var expiry: Int64
        var diedAt: Int64 = 0
        /// It does not answer probes before this.
        var silentUntil: Int64 = 0
        /// It says that it is ill before this.
        var sickUntil: Int64 = 0

        init(id: SandboxID, labels: SandboxLabels, now: Int64, listedFrom: Int64, life: Int64) {
            self.id = id
            self.labels = labels
            born = now
            startedAt = now
            self.listedFrom = listedFrom
            expiry = now + life
        }

        var isAlive: Bool { condition != .dead }
    }

    /// The longest that any sandbox may run without being resumed.
    static let session: Int64 = .seconds(300)
    /// How many the account may have.
    static let quota = 14

    let timeline: Timeline
    let dice: Dice
    let weather: Weather
    let history: History
    let wallZero: Int64
    private(set) var machines: [SandboxID: Machine] = [:]
    /// In the order of their birth.
    private(set) var alive: [Machine] = []
    private var dying: [(machine: Machine, listedUntil: Int64)] = []
    private var lastID = 0
    /// Creates on their way, by token: how many may still take effect.
    private(set) var underWay: [CreationToken: Int] = [:]

    /// When the creates were sent that have taken effect since, or may yet.
    private(set) var sentAt: [CreationToken: Int64] = [:]

    /// What others want to know.
    var onBirth: (Machine) -> Void = { _ in }
    var onDeath: (Machine, _ cause: String) -> Void = { _, _ in }
    var onProbe: (SandboxID, _ process: SimulatedProcess) -> Void = { _, _ in }
    var onProbedWell: (SandboxID, _ process: SimulatedProcess) -> Void = { _, _ in }

    init(timeline: Timeline, dice: Dice, weather: Weather, history: History, wallZero: Int64) {
        self.timeline = timeline
        self.dice = dice
        self.weather = weather
        self.history = history
        self.wallZero = wallZero
    }

    // MARK: What really happens

    func create(_ request: CreateRequest) -> Result<ProviderSandbox, ProviderError> {
        guard alive.count < Self.quota else {
            return .failure(ProviderError(.create, .concurrencyLimit, "quota", effect: .none))
        }
        lastID += 1
        let now = timeline.now
        let lag = weather.isActive(.listingLag) ? dice.spread(.milliseconds(100), .seconds(4)) : 0
        let machine = Machine(
            id: SandboxID("sb\(lastID)"),
            labels: request.labels,
            now: now,
            listedFrom: now + lag,
            life: min(request.life.nanoseconds, Self.session)
        )
        machines[machine.id] = machine
        alive.append(machine)
        let labels = machine.labels
        history.note(labels.key, "cloud: \(machine.id) born for \(labels.key) token \(labels.token.short)")
        watchExpiry(of: machine)
        onBirth(machine)
        return .success(describe(machine))
    }

    private func watchExpiry(of machine: Machine) {
        timeline.at(machine.expiry) {
            guard machine.condition == .running else { return }
            if machine.expiry <= self.timeline.now {
                self.end(machine, "expired")
            } else {
                self.watchExpiry(of: machine)
            }
        }
    }

    func end(_ machine: Machine, _ cause: String) {
        guard machine.isAlive else { return }
        machine.condition = .dead
        machine.diedAt = timeline.now
        alive.removeAll { $0 === machine }
        if weather.isActive(.listingLag) {
            dying.append((machine, timeline.now + dice.spread(.milliseconds(100), .seconds(4))))
        }
        history.note(machine.labels.key, "cloud: \(machine.id) died: \(cause)")
        onDeath(machine, cause)
    }

    func info(_ id: SandboxID) -> SandboxInfo? {
        machines[id].flatMap { $0.isAlive ? info($0) : nil }
    }

    private func info(_ machine: Machine) -> SandboxInfo {
        SandboxInfo(
            sandbox: describe(machine),
            state: machine.condition == .paused ? .paused : .running,
            startedAt: WallTime(sinceEpoch: .nanoseconds(wallZero + machine.startedAt)),
            metadata: ["user_id": machine.labels.key.user, "project_id": machine.labels.key.project],
            labels: machine.labels
        )
    }

    private func describe(_ machine: Machine) -> ProviderSandbox {
        ProviderSandbox(
            id: machine.id,
            template: "base",
            remainingLife: machine.condition == .paused ? .zero : .nanoseconds(machine.expiry - timeline.now)
        )
    }

    func list(_ filter: SandboxFilter) -> [SandboxInfo] {
        let now = timeline.now
        dying.removeAll { $0.listedUntil <= now }
        let listed = alive.filter { $0.listedFrom <= now } + dying.map(\.machine).filter { $0.listedFrom <= now }
        return listed.filter { machine in
            switch filter {
            case .environment(let name): machine.labels.environment == name
            case .token(let token, let name): machine.labels.environment == name && machine.labels.token == token
            case .key(let key, let name): machine.labels.environment == name && machine.labels.key == key
            }
        }.map { machine in
            var info = info(machine)
            info.sandbox.envdAccessToken = nil
            return info
        }
    }

    func connect(_ id: SandboxID, life: Int64) -> Result<ConnectedSandbox, ProviderError> {
        guard let machine = machines[id], machine.isAlive else {
            return .failure(ProviderError(.connect, .gone, "no such sandbox", effect: .none))
        }
        let resumed = machine.condition == .paused
        if resumed {
            machine.condition = .running
            machine.startedAt = timeline.now
            machine.expiry = timeline.now + life
            history.note(machine.labels.key, "cloud: \(id) resumed")
        }
        machine.expiry = min(max(machine.expiry, timeline.now + life), machine.startedAt + Self.session)
        watchExpiry(of: machine)
        return .success(ConnectedSandbox(sandbox: describe(machine), resumed: resumed))
    }

    func extend(_ id: SandboxID, life: Int64) -> Result<Duration, ProviderError> {
        guard let machine = machines[id], machine.condition == .running else {
            return .failure(ProviderError(.extend, .gone, "not running", effect: .none))
        }
        machine.expiry = min(timeline.now + life, machine.startedAt + Self.session)
        watchExpiry(of: machine)
        return .success(.nanoseconds(machine.expiry - timeline.now))
    }

    func pause(_ id: SandboxID) -> Result<Void, ProviderError> {
        guard let machine = machines[id], machine.isAlive else {
            return .failure(ProviderError(.pause, .gone, "no such sandbox", effect: .none))
        }
        if machine.condition == .running { history.note(machine.labels.key, "cloud: \(id) paused") }
        machine.condition = .paused
        return .success(())
    }

    func kill(_ id: SandboxID) -> KillOutcome {
        guard let machine = machines[id], machine.isAlive else { return .alreadyGone }
        end(machine, "killed")
        return .killed
    }

    func probe(_ id: SandboxID) -> HealthVerdict? {
        guard let machine = machines[id], machine.isAlive else { return .gone }
        if machine.condition == .paused { return .paused }
        if machine.silentUntil > timeline.now { return nil }
        return machine.sickUntil > timeline.now ? .unhealthy("ill") : .alive
    }

    func createSent(_ token: CreationToken) {
        underWay[token, default: 0] += 1
        sentAt[token] = timeline.now
    }

    func createArrived(_ token: CreationToken) {
        let rest = (underWay[token] ?? 1) - 1
        underWay[token] = rest > 0 ? rest : nil
    }
}

extension CreationToken {
    /// Enough of it to tell it from the others of a run.
    var short: Substring { rawValue.prefix(6) }
}
