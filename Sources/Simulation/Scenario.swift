internal import SandboxCore

/// How a run is set up, drawn from its seed.
struct Scenario {
    enum Store: String {
        /// One process, its leases in memory.
        case embedded
        /// A fleet that goes on alone while the store is away.
        case degrade
        /// A fleet that refuses then.
        case refuse
    }

    let store: Store
    let replicas: Int
    let clients: Int
    let keys: [LeaseKey]
    /// The kinds of faults of this run: some have few, so that what holds without the others is checked too.
    let faults: Set<FaultKind>
    let configuration: ManagerConfiguration

    init(_ options: SimulationOptions) {
        let dice = Dice(seed: options.seed, for: "scenario")
        let kind = dice.below(10)
        let replicas = 1 + dice.below(3)
        let clients = 3 + dice.below(6)
        let users = 2 + dice.below(2)
        let projects = 1 + dice.below(3)
        let share = [0.3, 0.6, 1][dice.below(3)]
        let wanted = FaultKind.allCases.filter { _ in dice.chance(share) }
        let pool = dice.chance(0.4) ? 1 + dice.below(2) : 0
        let total = 3 + dice.below(4)
        let perUser = 1 + dice.below(3)

        self.replicas = options.replicas ?? (kind < 2 ? 1 : max(2, replicas))
        store = self.replicas == 1 && kind < 2 ? .embedded : kind < 6 ? .degrade : .refuse
        self.clients = options.clients ?? clients
        let all = (0..<users).flatMap { user in
            (0..<projects).compactMap { project in try? LeaseKey(user: "u\(user)", project: "p\(project)") }
        }
        keys = Array(all.prefix(options.keys ?? all.count))
        faults = options.faults.intersection(wanted)
        configuration = Self.configuration(total: total, perUser: perUser, pool: pool, options)
    }

    /// The daemon's defaults, with shorter times: what takes hours there happens within a run.
    private static func configuration(
        total: Int,
        perUser: Int,
        pool: Int,
        _ options: SimulationOptions
    ) -> ManagerConfiguration {
        var configuration = ManagerConfiguration()
        configuration.environment = "simulation"
        configuration.limits = SlotLimits(perUser: perUser, total: total)
        configuration.idleTimeout = .seconds(40)
        configuration.grace = .seconds(40)
        configuration.maxAge = .seconds(240)
        configuration.pausedMaxAge = .seconds(120)
        configuration.createTimeout = .seconds(12)
        configuration.connectTimeout = .seconds(3)
        configuration.killTimeout = .seconds(4)
        configuration.healthTimeout = .seconds(2)
        configuration.freshWindow = .seconds(8)
        configuration.requestDeadline = .seconds(25)
        configuration.reaperInterval = .seconds(7)
        configuration.extenderInterval = .seconds(4)
        configuration.reconciler.interval = .seconds(25)
        configuration.reconciler.grace = .seconds(12)
        configuration.breaker.open = .seconds(4)
        configuration.creationRate = CreationRate(perMinute: 30, burst: 10)
        configuration.warmPool.target = pool
        if options.leaksUserLocks { configuration.faults = [.userLockLeak] }
        return configuration
    }

    var description: String {
        "store \(store.rawValue), \(replicas) replicas, \(clients) clients, \(keys.count) keys, limits "
            + "\(configuration.limits.perUser)/\(configuration.limits.total), pool \(configuration.warmPool.target), "
            + "faults \(FaultKind.allCases.filter(faults.contains).map(\.rawValue).joined(separator: ","))"
    }
}
