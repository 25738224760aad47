internal import Glibc

/// A redis-server on a free loopback port, without persistence, which keeps its port over restarts.
final class RedisServer {
    private let program: String
    private let client: String
    private let port: UInt16
    private let folder: String
    private var child: ChildProcess?
    private var starts = 0

    /// - Throws: If redis-server or redis-cli is not installed, or does not start.
    init(folder: String) async throws {
        guard let program = ChildProcess.find("redis-server"), let client = ChildProcess.find("redis-cli") else {
            throw DrillError("this drill needs redis-server and redis-cli on the PATH (Debian: redis-server)")
        }
        self.program = program
        self.client = client
        self.folder = folder
        port = try freeLoopbackPort()
        try await start()
    }

    /// What REDIS_URL is set to.
    var url: String { "redis://127.0.0.1:\(port)/0" }

    /// Starts it, empty.
    func start() async throws {
        starts += 1
        let child = try ChildProcess(
            program,
            ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"],
            environment: ["PATH": "/usr/bin:/bin"],
            folder: folder,
            log: "redis-\(starts).log"
        )
        self.child = child
        try await Pause.until("Redis answers", within: .seconds(10)) {
            guard child.isRunning else { throw DrillError("redis-server ended:\n\(child.lastWords)") }
            return child.log.contains("Ready to accept connections") ? () : nil
        }
    }

    /// Ends it as a crash would.
    func crash() async {
        await child?.crash()
        child = nil
    }

    /// Sends one command and waits for its answer.
    func command(_ words: [String]) async throws {
        let asked = try ChildProcess(
            client,
            ["-p", String(port)] + words,
            environment: ["PATH": "/usr/bin:/bin"],
            folder: folder,
            log: "redis-cli.log"
        )
        try await Pause.until("redis-cli \(words)", within: .seconds(10)) { asked.isRunning ? nil : () }
    }
}
