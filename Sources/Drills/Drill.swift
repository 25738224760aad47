/// What has to run for a drill, before anything is wrong.
struct DrillSetup: Sendable {
    /// The daemon's settings, by the names of their environment variables without prefix.
    var settings: [String: String] = [:]
    /// Whether the sandboxes come from a stand-in for E2B's cloud, which can be told to misbehave.
    var needsCloud = false
    /// Whether the daemon keeps its books in a Redis of its own.
    var needsRedis = false
}

/// What users do meanwhile, over and over.
struct DrillLoad: Sendable {
    /// Users in each turn who were never there before.
    var visitors = 0
    /// Whether visitors give their sandbox back within the turn.
    var visitorsLeave = true
    /// Users in each turn who keep coming back.
    var regulars = 0
    /// Whether each of them asks twice at the same time.
    var regularsComeTwice = false
    /// What is between two turns.
    var pause: Duration = .milliseconds(50)

    /// Ever new users who come and go, and a few who come back.
    static let usual = DrillLoad(visitors: 8, regulars: 4)
    /// Nobody.
    static let none = DrillLoad()
}

/// One alert, and how to bring it about for real.
struct Drill: Sendable {
    /// The alert that has to fire and resolve.
    var alert: String
    /// What is done to the daemon or what it depends on, in one sentence.
    var cause: String
    /// What every span of time in the rules is divided by.
    var speedup = PrometheusServer.speedup
    /// How often Prometheus scrapes and evaluates; two scrapes have to fit into the shortest range, two minutes sped up.
    var interval = PrometheusServer.interval
    var setup = DrillSetup()
    var load = DrillLoad.none
    /// What fires because of how the drill brings the cause about, as opposed to the cause itself.
    var sideEffects: Set<String> = []
    /// Before the load begins and the clock runs.
    var prepare: @Sendable (Scene) async throws -> Void = { _ in }
    /// Brings the cause about, and returns; or goes on causing it until it is cancelled.
    var provoke: @Sendable (Scene) async throws -> Void
    /// Takes the cause away.
    var mend: @Sendable (Scene) async throws -> Void
    /// How long firing, and resolving, may take at most.
    var patience: Duration = .seconds(60)

    /// Rules with short windows say nothing at a speedup this large, so other alerts are not judged.
    var judgesOthers: Bool { interval * 2 <= .seconds(120) / speedup }
}

extension Drill {
    /// A drill whose cause is a fault switch of the daemon, which is restarted with it and then without.
    static func byFault(
        _ alert: String,
        _ fault: String,
        cause: String,
        settings: [String: String] = [:],
        load: DrillLoad = .usual
    ) -> Drill {
        Drill(
            alert: alert,
            cause: cause,
            setup: DrillSetup(settings: settings),
            load: load,
            sideEffects: restart.union(["SandboxManagerFaultInjectionActive"]),
            provoke: { try await $0.restartDaemon(faults: [fault]) },
            mend: { try await $0.restartDaemon() }
        )
    }

    /// A restart is a short outage, which sped up is not so short any more.
    static let restart: Set<String> = ["SandboxManagerDown"]
}
