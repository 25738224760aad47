/// Looks for a shorter history that breaks the same invariant: fewer steps, kinds of faults, clients, keys, replicas,
/// and of the faults that are left those that matter.
struct Shrinker {
    private(set) var options: SimulationOptions
    private(set) var outcome: SimulationRun.Outcome
    private let deadline: ContinuousClock.Instant
    private let code: String
    private(set) var attempts = 0

    init?(_ options: SimulationOptions, _ outcome: SimulationRun.Outcome, budget: Duration) {
        guard let violation = outcome.violation else { return nil }
        self.options = options
        self.outcome = outcome
        code = violation.code
        deadline = .now + budget
    }

    private var hasTime: Bool { ContinuousClock.now < deadline }

    mutating func shrink() {
        var length: Int
        repeat {
            length = outcome.lines
            shortenSteps()
            for kind in FaultKind.allCases where options.faults.contains(kind) { attempt { $0.faults.remove(kind) } }
            for count in [1, 2, 3, 4] { attempt { $0.clients = count } }
            for count in [1, 2, 3, 4] { attempt { $0.keys = count } }
            for count in [1, 2] { attempt { $0.replicas = count } }
            dropFaults()
        } while outcome.lines < length && hasTime
    }

    private mutating func shortenSteps() {
        let last = outcome.steps
        if last < options.steps { attempt { $0.steps = last } }
        for _ in 0..<6 { attempt { $0.steps = $0.steps / 2 } }
    }

    /// Halves first, then one by one.
    private mutating func dropFaults() {
        var size = max(1, outcome.faults.count / 2)
        while size >= 1, hasTime {
            for start in stride(from: 0, to: outcome.faults.count, by: size) {
                let faults = outcome.faults
                guard start < faults.count else { break }
                attempt { $0.skipped.formUnion(faults[start..<min(start + size, faults.count)]) }
            }
            if size == 1 { break }
            size /= 2
        }
    }

    /// Keeps the change if the same invariant breaks in a history that is no longer than before.
    private mutating func attempt(_ change: (inout SimulationOptions) -> Void) {
        guard hasTime else { return }
        var changed = options
        change(&changed)
        guard changed != options else { return }
        attempts += 1
        let tried = SimulationRun.perform(changed)
        guard tried.violation?.code == code, tried.lines <= outcome.lines else { return }
        options = changed
        outcome = tried
    }
}
