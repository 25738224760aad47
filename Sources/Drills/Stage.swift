internal import Foundation

/// The scenes and the Prometheus of some drills that run side by side, from their start to their end.
actor Stage {
    private let daemon: String
    private let prometheus: String
    private let rules: String
    private let folder: TemporaryFolder
    private let web: WebClient
    private var scenes: [String: Scene] = [:]
    private var server: PrometheusServer?

    /// Nothing runs yet.
    init(daemon: String, prometheus: String, rules: String) throws {
        self.daemon = daemon
        self.prometheus = prometheus
        self.rules = rules
        folder = try TemporaryFolder()
        web = try WebClient()
    }

    /// Starts a scene for each job and a Prometheus that scrapes them, and waits until it has.
    func open(
        _ setups: [String: DrillSetup],
        speedup: Double,
        interval: Duration
    ) async throws -> PrometheusServer {
        for (job, setup) in setups.sorted(by: { $0.key < $1.key }) {
            let inner = try folder.make(job)
            scenes[job] = try await Scene(job: job, program: daemon, setup: setup, folder: inner, web: web)
        }
        var targets: [String: String] = [:]
        for (job, scene) in scenes { targets[job] = await scene.metrics }
        let server = try await PrometheusServer(
            program: prometheus,
            rules: rules,
            speedup: speedup,
            targets: targets,
            interval: interval,
            allowsShortRanges: interval * 2 > .seconds(120) / speedup,
            folder: try folder.make("prometheus"),
            web: web
        )
        self.server = server
        try await server.waitUntilUp(targets.keys)
        return server
    }

    func scene(_ job: String) throws -> Scene {
        guard let scene = scenes[job] else { throw DrillError("there is no scene for \(job)") }
        return scene
    }

    /// Ends every process and removes every file, however far it came; may be called again.
    func close() async {
        await server?.end()
        for scene in scenes.values { await scene.close() }
        await web.close()
        folder.remove()
    }
}
