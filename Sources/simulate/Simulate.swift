import ArgumentParser
import Glibc
import Simulation

@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a fleet of managers under a seed: faults, clients, clocks and scheduling are drawn from it."
    )

    @Option(help: "The seed to run.")
    var seed: UInt64?

    @Option(help: "Seeds to run, as in 1-100.")
    var seeds: String?

    @Option(help: "So many seeds that nobody has chosen.")
    var fresh: Int?

    @Option(help: "Steps of each run; then everything is mended and has to come to rest.")
    var steps = 20_000

    @Option(help: "Kinds of faults, separated by commas, or none.")
    var faults: String?

    @Option(help: "Numbers of faults that are left out, separated by commas.")
    var skip: String?

    @Option(help: "How many replicas.")
    var replicas: Int?

    @Option(help: "How many clients.")
    var clients: Int?

    @Option(help: "How many keys.")
    var keys: Int?

    @Flag(help: "Print the history.")
    var trace = false

    @Flag(help: "Print a line for each seed.")
    var verbose = false

    @Flag(help: "Do not look for a shorter history when a seed fails.")
    var noShrink = false

    @Flag(help: "Switch the core's fault user-lock-leak on, which has to be noticed.")
    var leakUserLocks = false

    /// Before anything else: the executor, and a hash order that is the same in every process.
    static func main() {
        hashInOneOrder()
        LastWords.arm()
        installSeededExecutor()
        main(nil)
    }

    /// The standard library reads this variable when the process starts, so the process starts once more.
    private static func hashInOneOrder() {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        guard unsafe getenv(name) == nil else { return }
        setenv(name, "1", 1)
        var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        _ = unsafe execv("/proc/self/exe", arguments)
        say("cannot start anew with \(name)")
        Glibc.exit(2)
    }

    /// Unbuffered, so that a process that traps has said all that it knew.
    private static func say(_ line: String) {
        var line = line + "\n"
        line.withUTF8 { bytes in
            _ = unsafe write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
        }
    }

    func validate() throws {
        guard [seed != nil, seeds != nil, fresh != nil].count(where: { $0 }) <= 1 else {
            throw ValidationError("one of --seed, --seeds and --fresh")
        }
        _ = try options(0)
        _ = try chosenSeeds()
    }

    func run() throws {
        let report = Campaign(
            seeds: try chosenSeeds(),
            isTraced: trace,
            isVerbose: verbose || seed != nil,
            shrinks: !noShrink,
            begin: { LastWords.prepare($0.seed, $0.command) },
            print: Self.say
        ).run(try options(0))
        guard report.failed == 0 else { throw ExitCode(1) }
    }

    private func chosenSeeds() throws -> [UInt64] {
        if let seed { return [seed] }
        if let fresh { return (0..<fresh).map { _ in UInt64.random(in: 0..<1_000_000_000) } }
        guard let seeds else { return [1] }
        let ends = seeds.split(separator: "-").map { UInt64($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else {
            throw ValidationError("--seeds is FIRST-LAST")
        }
        return Array(first...last)
    }

    private func options(_ seed: UInt64) throws -> SimulationOptions {
        var options = SimulationOptions(seed: seed)
        options.steps = steps
        options.replicas = replicas
        options.clients = clients
        options.keys = keys
        options.leaksUserLocks = leakUserLocks
        if let faults {
            let names = faults == "none" ? [] : faults.split(separator: ",").map(String.init)
            options.faults = Set(
                try names.map { name in
                    guard let kind = FaultKind(rawValue: name) else { throw ValidationError("no fault \(name)") }
                    return kind
                }
            )
        }
        if let skip {
            options.skipped = Set(
                try skip.split(separator: ",").map { number in
                    guard let number = Int(number) else { throw ValidationError("--skip takes numbers") }
                    return number
                }
            )
        }
        return options
    }
}
