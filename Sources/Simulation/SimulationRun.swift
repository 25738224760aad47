internal import SandboxCore

/// One run of a simulation, from its options to its verdict.
public struct SimulationRun {
    /// What came of it.
    public struct Outcome: Sendable, Equatable {
        /// Steps that were taken, each followed by the checks.
        public var steps: Int
        /// Everything that happened, in one number.
        public var hash: UInt64
        /// Virtual time that passed.
        public var seconds: Int
        /// What was broken, if anything.
        public var violation: Violation?
        /// The setup, in words.
        public var scenario: String
        /// What happened, in numbers.
        public var summary: String
        /// Numbers of the faults that happened.
        public var faults: [Int]
        /// How many lines the history has.
        public var lines: Int
    }

    /// The longest that a fleet may take to come to rest once nothing is broken any more (I10): an intent of a dead owner
    /// is due after 67 s and kept for 42 s more, the recovery pauses for up to 30 s, kills for up to a minute.
    private static let longestUnrest: Int64 = .seconds(240)

    /// What was lost on its way is given up by then.
    private static let leastCalm: Int64 = .seconds(15)

    private let world: World
    private let scheduler: Dice
    private var steps = 0

    private init(_ options: SimulationOptions, isTraced: Bool, print: @escaping (String) -> Void) {
        world = World(options, isTraced: isTraced, print: print)
        scheduler = world.dice(for: "scheduler")
    }

    /// Runs to the end, or to the first violation.
    ///
    /// - Parameters:
    ///   - options: What to run.
    ///   - isTraced: Whether every line of the history is printed.
    ///   - print: Where lines go.
    /// - Returns: The verdict.
    public static func perform(
        _ options: SimulationOptions,
        isTraced: Bool = false,
        print: @escaping (String) -> Void = { _ in }
    ) -> Outcome {
        JobQueue.shared.clear()
        var run = SimulationRun(options, isTraced: isTraced, print: print)
        run.perform()
        JobQueue.shared.clear()
        return run.outcome
    }

    private var outcome: Outcome {
        let counts = world.checker.counts
        return Outcome(
            steps: steps,
            hash: world.history.hash,
            seconds: Int(world.timeline.now / 1_000_000_000),
            violation: world.checker.violation,
            scenario: world.scenario.description,
            summary:
                "\(world.checker.asks) requests, \(counts.grants) grants, \(counts.created) created, \(counts.ended) leases "
                + "ended, \(counts.losses) losses, \(counts.crashes) crashes",
            faults: faults,
            lines: world.history.length
        )
    }

    private var faults: [Int] = []

    private mutating func perform() {
        let plan = FaultPlan(world: world)
        world.history.note(nil, "seed \(world.options.seed): \(world.scenario.description)")
        for replica in world.replicas { replica.start() }
        let clients = (0..<world.scenario.clients).map { ClientScript(index: $0, world: world) }
        for client in clients { client.start() }
        plan.begin()
        let wanted = world.options.steps
        advance { steps, _ in steps >= wanted }
        faults = plan.happened
        guard world.checker.violation == nil else { return }
        world.history.note(nil, "nothing is broken from here on")
        for client in clients { client.stop() }
        plan.end()
        comeToRest()
        guard world.checker.violation == nil else { return }
        serveEverybody()
        guard world.checker.violation == nil else { return }
        comeToRest()
    }

    /// Takes steps until it is enough, or something is violated.
    private mutating func advance(until isEnough: (_ steps: Int, _ now: Int64) -> Bool) {
        let (queue, timeline, history, checker) = (JobQueue.shared, world.timeline, world.history, world.checker)
        while checker.violation == nil, !isEnough(steps, timeline.now) {
            let entry = queue.take { ready in
                let place = scheduler.below(ready)
                history.mix(UInt64(place))
                return place
            }
            if let entry {
                queue.run(entry)
            } else if timeline.ringNext() {
                history.mix(UInt64(bitPattern: timeline.now))
            } else {
                checker.violated("I9", nil, "nothing will ever happen again")
            }
            steps += 1
            checker.afterStep()
        }
    }

    private mutating func comeToRest() {
        let began = world.timeline.now
        var looked: Int64 = 0
        let world = world
        var unrest = world.checker.unrest
        advance { _, now in
            guard now - began >= Self.leastCalm else { return false }
            // Once a second is enough.
            guard now - looked >= .seconds(1) else { return false }
            looked = now
            unrest = world.checker.unrest
            return unrest == nil || now - began > Self.longestUnrest
        }
        guard let unrest, world.checker.violation == nil else { return }
        let after = (world.timeline.now - began).asSeconds
        world.checker.violated(unrest.code, nil, "\(after) s after everything was mended: \(unrest.text)")
    }

    private mutating func serveEverybody() {
        let world = world
        let dice = world.dice(for: "last acquires")
        let done = Reply<Void>()
        Task {
            for key in world.scenario.keys {
                var outcome = await ClientScript.acquire(key, through: dice.pick(world.replicas), world)
                if case .failure(.releasing)? = outcome {
                    outcome = await ClientScript.acquire(key, through: dice.pick(world.replicas), world)
                }
                world.checker.checkServed(key, outcome)
            }
            done.settle(())
        }
        advance { _, _ in done.isSettled }
    }
}
