internal import SandboxCore
internal import StandIns

/// Everything of one run, joined. Confined to the simulation's thread.
final class World: @unchecked Sendable {
    let options: SimulationOptions
    let scenario: Scenario
    let timeline = Timeline()
    let history: History
    let weather: Weather
    let cloud: SimulatedCloud
    let store: SimulatedStore
    /// Civil time when the run began, for those whose clocks are right.
    let wallZero: Int64 = .seconds(1_800_000_000)
    private(set) var replicas: [Replica] = []
    private(set) lazy var checker = Checker(world: self)

    init(_ options: SimulationOptions, isTraced: Bool, print: @escaping (String) -> Void) {
        self.options = options
        scenario = Scenario(options)
        history = History(timeline: timeline, isTraced: isTraced, print: print)
        weather = Weather(dice: Dice(seed: options.seed, for: "weather"), timeline: timeline)
        cloud = SimulatedCloud(
            timeline: timeline,
            dice: Dice(seed: options.seed, for: "cloud"),
            weather: weather,
            history: history,
            wallZero: wallZero
        )
        store = SimulatedStore(
            timeline: timeline,
            dice: Dice(seed: options.seed, for: "store"),
            weather: weather,
            wallZero: wallZero
        )
        replicas = (0..<scenario.replicas).map { Replica(index: $0, world: self) }
    }

    func dice(for purpose: String) -> Dice { Dice(seed: options.seed, for: purpose) }

    /// The books that hold for everybody: the shared ones, or those of the only process.
    var books: MemoryLeaseStore? {
        scenario.store == .embedded ? replicas.first?.life?.embedded : store.server.books
    }
}
