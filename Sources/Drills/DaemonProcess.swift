internal import Foundation

/// The real daemon as a child, which keeps its ports over restarts.
final class DaemonProcess {
    private let program: String
    private let folder: String
    private let settings: [String: String]
    private var child: ChildProcess?
    /// Where the control interface listens, "host:port".
    private(set) var api = "127.0.0.1:0"
    /// Where the metrics are.
    private(set) var metrics = "127.0.0.1:0"

    /// Nothing runs yet. Settings go by the names of their environment variables, most without their prefix.
    init(program: String, folder: String, settings: [String: String]) {
        self.program = program
        self.folder = folder
        self.settings = settings
    }

    /// Starts it and waits until it says where it listens.
    func start(faults: [String] = [], overriding changes: [String: String] = [:]) async throws {
        precondition(child == nil, "the daemon runs already")
        var all = Self.defaults.merging(settings) { $1 }.merging(changes) { $1 }
        all["API_LISTEN"] = api
        all["METRICS_LISTEN"] = metrics
        var environment = ["PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder]
        for (name, value) in all { environment[Self.unprefixed.contains(name) ? name : Self.prefix + name] = value }
        let arguments = faults.isEmpty ? [] : ["--faults", faults.joined(separator: ","), "--allow-faults"]
        let log = "daemon-\(UUID().uuidString).log"
        let child = try ChildProcess(program, arguments, environment: environment, folder: folder, log: log)
        self.child = child
        let line = try await Pause.until("the daemon listens", within: .seconds(20), every: .milliseconds(10)) {
            let line = child.log.split(separator: "\n").first { $0.contains(" listening ") }
            if line == nil, !child.isRunning { throw DrillError("the daemon ended:\n\(child.lastWords)") }
            return line.map(String.init)
        }
        api = try Self.address("api", in: line)
        metrics = try Self.address("metrics", in: line)
    }

    /// Ends it as a crash would.
    func crash() async {
        await child?.crash()
        child = nil
    }

    /// Ends it in order.
    func end() async {
        await child?.end()
        child = nil
    }

    /// Of its process; nil while it does not run.
    var id: Int32? { child?.id }

    func send(_ signal: Int32) { child?.send(signal) }

    /// The last lines it has printed, for a message.
    var lastWords: String { child?.lastWords ?? "" }

    private static let prefix = "SANDBOX_MANAGER_"
    private static let unprefixed: Set<String> = [
        "REDIS_URL", "E2B_API_KEY", "E2B_API_URL", "E2B_SANDBOX_URL",
        "BUILD_REVISION",
    ]
    /// Limits of the rate of creations would be in the way of every load.
    private static let defaults = [
        "PROVIDER": "simulated", "LIMITS_TOTAL": "1000", "RATE_CREATES_PER_USER_PER_MINUTE": "0", "RATE_BURST": "0",
        "SHUTDOWN_TIMEOUT_SECONDS": "0", "SHUTDOWN_SANDBOXES": "keep",
    ]

    private static func address(_ name: String, in line: String) throws -> String {
        guard let found = line.range(of: " \(name)=") else { throw DrillError("no address of \(name) in: \(line)") }
        return String(line[found.upperBound...].prefix { !$0.isWhitespace })
    }
}
