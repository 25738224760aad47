internal import FakeE2B
internal import Foundation
internal import Glibc
internal import HTTPTypes

/// What a drill has around it: its daemon, and the provider and the store that it may need.
actor Scene {
    /// The name of its job at Prometheus.
    let job: String
    let web: WebClient
    private let cloudServer: FakeE2BServer?
    private let redis: RedisServer?
    private let daemon: DaemonProcess
    /// How often each status was answered to the load; 0 for no answer.
    private(set) var answers: [Int: Int] = [:]
    private var strays = 0
    private let folder: String
    private var connections: [Int32] = []

    /// Starts everything; the daemon without the drill's faults.
    init(job: String, program: String, setup: DrillSetup, folder: String, web: WebClient) async throws {
        self.job = job
        self.folder = folder
        self.web = web
        var settings = setup.settings
        let redis = try await setup.needsRedis ? RedisServer(folder: folder) : nil
        if let redis { settings["REDIS_URL"] = redis.url }
        let cloud = try setup.needsCloud ? Self.makeCloud() : nil
        if let cloud {
            settings["PROVIDER"] = "e2b"
            settings["E2B_API_KEY"] = Self.apiKey
            settings["E2B_API_URL"] = cloud.apiURL
            settings["E2B_SANDBOX_URL"] = cloud.sandboxURL
        }
        let daemon = DaemonProcess(program: program, folder: folder, settings: settings)
        do {
            try await daemon.start()
        } catch {
            await redis?.crash()
            cloud?.stop()
            throw error
        }
        self.redis = redis
        self.cloudServer = cloud
        self.daemon = daemon
    }

    private static func makeCloud() throws -> FakeE2BServer {
        var configuration = FakeE2BConfiguration()
        configuration.concurrencyLimit = 5000
        return try FakeE2BServer(configuration)
    }

    /// Ends all of it, however far it came.
    func close() async {
        closeConnections()
        await daemon.end()
        await redis?.crash()
        cloudServer?.stop()
    }

    /// "host:port" of the daemon's metrics.
    var metrics: String { daemon.metrics }

    /// The last lines the daemon has printed.
    var lastWords: String { daemon.lastWords }

    // MARK: The daemon

    /// Ends the daemon as a crash would.
    func crashDaemon() async { await daemon.crash() }

    /// Starts it again at its ports.
    func startDaemon(faults: [String] = [], changes: [String: String] = [:]) async throws {
        try await daemon.start(faults: faults, overriding: changes)
    }

    /// Starts it anew with the faults of the drill, or other settings.
    func restartDaemon(faults: [String] = [], changes: [String: String] = [:]) async throws {
        await daemon.crash()
        try await daemon.start(faults: faults, overriding: changes)
    }

    /// Lets it hang.
    func freezeDaemon() { daemon.send(SIGSTOP) }

    /// Ends the hang.
    func thawDaemon() { daemon.send(SIGCONT) }

    /// Lowers how many files the daemon may have open.
    func limitDescriptors(_ count: Int) async throws {
        guard let id = daemon.id, let program = ChildProcess.find("prlimit") else {
            throw DrillError("this drill needs prlimit on the PATH (Debian: util-linux)")
        }
        let limiter = try ChildProcess(
            program,
            ["--pid", String(id), "--nofile=\(count):\(count)"],
            environment: [:],
            folder: folder,
            log: "prlimit.log"
        )
        try await Pause.until("prlimit", within: .seconds(5)) { limiter.isRunning ? nil : () }
    }

    /// Opens connections to the control interface that say nothing.
    func openConnections(_ count: Int) throws {
        for _ in 0..<count { connections.append(try connectToLoopback(daemon.api)) }
    }

    /// Closes them.
    func closeConnections() {
        for connection in connections { Glibc.close(connection) }
        connections = []
    }

    // MARK: The provider

    /// The provider that the daemon of this drill uses.
    func cloud() throws -> FakeE2BServer {
        guard let cloudServer else { throw DrillError("this drill has no provider of its own") }
        return cloudServer
    }

    /// Lets all requests of an operation fail until ``mendProvider()``.
    func spoilProvider(_ fault: FakeFault) throws {
        var fault = fault
        fault.times = 0
        try cloud().inject(fault)
    }

    /// Ends every fault of the provider.
    func mendProvider() throws { try cloud().clearFaults() }

    /// Makes sandboxes that carry the labels of leases and that the daemon knows nothing of.
    func makeStrays(_ count: Int) async throws {
        let cloud = try self.cloud()
        guard let template = cloud.sandboxes.first(where: { $0.metadata[Self.tokenLabel] != nil }) else {
            throw DrillError("there is no sandbox whose labels a stray could carry")
        }
        for _ in 0..<count {
            strays += 1
            var metadata = template.metadata
            metadata[Self.tokenLabel] = "stray\(strays)"
            let labels = try String(decoding: JSONEncoder().encode(metadata), as: UTF8.self)
            let body = "{\"templateID\": \"base\", \"timeout\": 3000, \"metadata\": \(labels)}"
            let url = "\(cloud.apiURL)/sandboxes"
            let answer = try await web.send(.post, url, body: body, headers: ["X-API-Key": Self.apiKey])
            guard answer.status == 201 else { throw DrillError("the provider refused a stray: \(answer.status)") }
        }
    }

    /// Ends the strays, wherever the daemon has got to with them.
    func removeStrays() throws {
        let cloud = try self.cloud()
        for sandbox in cloud.sandboxes where sandbox.metadata[Self.tokenLabel]?.hasPrefix("stray") == true {
            cloud.vanish(sandbox.id)
        }
    }

    // MARK: The store

    /// Ends Redis as a crash would.
    func crashRedis() async { await redis?.crash() }

    /// Starts it again, empty.
    func startRedis() async throws { try await redis?.start() }

    /// Sends Redis one command.
    func askRedis(_ words: String...) async throws { try await redis?.command(words) }

    // MARK: Requests

    /// Asks for a sandbox, or gives it back; 0 if no answer came.
    func acquire(_ user: String) async -> Int { await request(isAcquire: true, user) }

    func release(_ user: String) async -> Int { await request(isAcquire: false, user) }

    /// Gives all of them back at once.
    func releaseAll(_ users: [String]) async {
        await withTaskGroup(of: Void.self) { group in
            for user in users { group.addTask { _ = await self.release(user) } }
        }
    }

    /// Gives so many users a sandbox each, with an environment of 60 KB.
    func acquireHeavily(_ count: Int) async {
        let body = "{\"envs\": {\"HEAVY\": \"\(String(repeating: "x", count: 60_000))\"}}"
        for start in stride(from: 0, to: count, by: 50) where !Task.isCancelled {
            await withTaskGroup(of: Void.self) { group in
                for index in start..<min(start + 50, count) {
                    group.addTask { _ = await self.request(isAcquire: true, "heavy-\(index)", body: body) }
                }
            }
        }
    }

    private func request(isAcquire: Bool, _ user: String, body: String? = nil) async -> Int {
        let url = "http://\(daemon.api)/v1/users/\(user)/projects/demo/sandbox"
        let answer = try? await web.send(isAcquire ? .put : .delete, url, body: body, deadline: .seconds(10))
        // Whom the drill itself made leave says nothing about the daemon.
        if answer != nil || !Task.isCancelled { answers[answer?.status ?? 0, default: 0] += 1 }
        return answer?.status ?? 0
    }

    private static let tokenLabel = "sandbox_manager_token"
    /// Shaped like a key; the fake cloud takes any.
    private static let apiKey = "e2b_" + String(repeating: "0123456789", count: 4)
}
