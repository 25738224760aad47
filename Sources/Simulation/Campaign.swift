/// Many runs, one after the other, and what to say of them.
public struct Campaign {
    /// What came of all of them.
    public struct Report {
        /// Steps of all runs.
        public var steps = 0
        /// Runs.
        public var runs = 0
        /// Runs that broke something.
        public var failed = 0
    }

    private let seeds: [UInt64]
    private let isTraced: Bool
    private let isVerbose: Bool
    private let shrinks: Bool
    private let begin: (SimulationOptions) -> Void
    private let print: (String) -> Void

    /// Bundles what to run and what to say.
    ///
    /// - Parameters:
    ///   - seeds: One run each.
    ///   - isTraced: Whether histories are printed.
    ///   - isVerbose: Whether each run gets a line.
    ///   - shrinks: Whether a shorter history of a failure is looked for.
    ///   - begin: Told before each run, should it never come back.
    ///   - print: Where lines go.
    public init(
        seeds: [UInt64],
        isTraced: Bool,
        isVerbose: Bool,
        shrinks: Bool,
        begin: @escaping (SimulationOptions) -> Void,
        print: @escaping (String) -> Void
    ) {
        self.seeds = seeds
        self.isTraced = isTraced
        self.isVerbose = isVerbose
        self.shrinks = shrinks
        self.begin = begin
        self.print = print
    }

    /// Runs them all with these options, each with its seed.
    public func run(_ options: SimulationOptions) -> Report {
        let clock = ContinuousClock()
        let began = clock.now
        var report = Report()
        var hash: UInt64 = 0
        for seed in seeds {
            var options = options
            options.seed = seed
            begin(options)
            let outcome = SimulationRun.perform(options, isTraced: isTraced, print: print)
            report.runs += 1
            report.steps += outcome.steps
            hash = (hash ^ outcome.hash) &* 0x100_0000_01b3
            if isVerbose {
                print("seed \(seed): \(outcome.scenario)")
                print("seed \(seed): \(outcome.steps) steps, \(outcome.seconds) s, \(outcome.summary)")
                print(
                    "seed=\(seed) steps=\(outcome.steps) lines=\(outcome.lines) hash=\(String(outcome.hash, radix: 16))"
                )
            }
            guard let violation = outcome.violation else { continue }
            report.failed += 1
            print("violation \(violation.code) seed=\(seed) step=\(outcome.steps)")
            tell(violation, outcome, options)
        }
        let took = began.duration(to: clock.now)
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) * 1e-18
        print(
            "runs=\(report.runs) seeds=\(named) failed=\(report.failed) steps=\(report.steps) "
                + "steps_per_second=\(Int(Double(report.steps) / max(seconds, 0.001))) hash=\(String(hash, radix: 16))"
        )
        return report
    }

    /// The seeds in one word.
    private var named: String {
        guard seeds.count > 1, zip(seeds, seeds.dropFirst()).allSatisfy({ $0 &+ 1 == $1 }) else {
            return seeds.map(String.init).joined(separator: ",")
        }
        return "\(seeds[0])-\(seeds[seeds.count - 1])"
    }

    private func tell(_ violation: Violation, _ outcome: SimulationRun.Outcome, _ options: SimulationOptions) {
        print("  \(violation.text)")
        print("  \(outcome.scenario)")
        for line in violation.events { print("    \(line)") }
        print("  replay: \(options.command)")
        guard shrinks, var shrinker = Shrinker(options, outcome, budget: .seconds(20)) else { return }
        shrinker.shrink()
        let (options, outcome) = (shrinker.options, shrinker.outcome)
        guard let violation = outcome.violation else { return }
        print("  the shortest of \(shrinker.attempts) others has \(outcome.lines) lines:")
        print("  \(violation.text)")
        print("  \(outcome.scenario)")
        _ = SimulationRun.perform(options, isTraced: true) { print("    \($0)") }
        print("  replay: \(options.command) --trace")
    }
}
