internal import Logging
internal import SandboxCore
internal import StandIns

/// One place in the fleet: a process runs there, dies, and another one takes its place.
///
/// Confined to the simulation's thread.
final class Replica: @unchecked Sendable {
    /// What runs there now.
    struct Life {
        let process: SimulatedProcess
        let manager: SandboxManager
        let observer: ProcessObserver
        /// `nil` where the leases are in the process' own memory.
        let shared: (store: FailoverLeaseStore, wire: StoreWire)?
        let embedded: MemoryLeaseStore?
        let running: SpawnedTask
    }

    let index: Int
    private let world: World
    private var lives = 0
    private(set) var life: Life?
    /// When its process was last not attached to the shared store; -1 if it always was.
    var lastNotAttached: Int64 = -1

    init(index: Int, world: World) {
        self.index = index
        self.world = world
    }

    func start() {
        lives += 1
        let dice = world.dice(for: "replica \(index) life \(lives)")
        let process = SimulatedProcess(
            name: "r\(index).\(lives)",
            timeline: world.timeline,
            zero: dice.time(0, .seconds(100_000)),
            wallZero: world.wallZero
        )
        process.onSpinning = { [unowned world] process in
            world.checker.violated("I9", nil, "something in \(process.name) waits over and over without waiting")
        }
        let runtime = Runtime(time: process, random: dice, spawner: process)
        let observer = ProcessObserver()
        let log = Logger(label: process.name) { _ in SwiftLogNoOpLogHandler() }
        var configuration = world.scenario.configuration
        configuration.owner = process.name
        var shared: (store: FailoverLeaseStore, wire: StoreWire)?
        var embedded: MemoryLeaseStore?
        let store: any LeaseStore
        if world.scenario.store == .embedded {
            let memory = MemoryLeaseStore(time: process, claim: .seconds(6))
            embedded = memory
            store = memory
        } else {
            let (wire, connection) = world.store.connect(process)
            let failover = FailoverLeaseStore(
                shared: connection,
                policy: world.scenario.store == .refuse ? .refuse : .degrade(replicas: world.scenario.replicas),
                claim: .seconds(6),
                runtime: runtime,
                observer: observer,
                log: log
            )
            shared = (failover, wire)
            store = failover
        }
        let manager = SandboxManager(
            configuration: configuration,
            provider: CloudConnection(cloud: world.cloud, process: process),
            store: store,
            runtime: runtime,
            observer: observer,
            log: log
        )
        world.history.note(nil, "\(process.name) starts")
        lastNotAttached = world.timeline.now
        let running = process.spawn("run") { await manager.run() }
        life = Life(
            process: process,
            manager: manager,
            observer: observer,
            shared: shared,
            embedded: embedded,
            running: running
        )
    }

    func crash() {
        guard let life else { return }
        world.history.note(nil, "\(life.process.name) crashes")
        life.process.die()
        if let wire = life.shared?.wire { world.store.disconnect(wire) }
        self.life = nil
    }
}
