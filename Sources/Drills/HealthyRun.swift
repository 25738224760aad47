internal import Foundation

/// How a time of healthy load went.
public struct HealthyReport: Sendable, Codable, Hashable {
    /// How long the load lasted, in seconds.
    public var seconds: Double
    /// What every span of time in the rules was divided by.
    public var speedup: Double
    /// How often each status was answered; 0 for no answer.
    public var answers: [Int: Int]
    /// Alerts that fired, with the daemon each was about.
    public var fired: [String]
    /// Rules that could not be evaluated.
    public var ruleErrors: [String] = []

    /// Whether no alert fired, and everybody was served.
    public var hasPassed: Bool {
        fired.isEmpty && ruleErrors.isEmpty && answers.keys.allSatisfy((200..<300).contains) && !answers.isEmpty
    }

    /// In a few lines of Markdown.
    public var markdown: String {
        let counts = answers.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
        let span = seconds * speedup / 3600
        return """
            Healthy load for \(String(format: "%.0f", seconds)) s at speedup \(String(format: "%.0f", speedup)), \
            \(String(format: "%.0f", span)) hours of the rules' time: answers \(counts); \
            alerts that fired: \(fired.isEmpty ? "none" : fired.joined(separator: ", "))\
            \(ruleErrors.isEmpty ? "" : "; rules that fail: \(ruleErrors.joined(separator: ", "))"). \
            \(hasPassed ? "Passed." : "**Failed.**")

            """
    }

    /// The same as JSON.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try String(decoding: encoder.encode(self), as: UTF8.self)
    }
}

/// A healthy load on a healthy daemon: people come and go, come back, forget their sandbox, and come all at once.
struct HealthyLoad: Sendable {
    let scene: Scene

    /// Runs until it is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [scene] in await LoadGenerator(load: .usual).run(scene) }
            group.addTask { await forgetful() }
            group.addTask { await bursts() }
        }
    }

    /// They never give anything back; the reaper does.
    private func forgetful() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            _ = await scene.acquire("forgetful-\(number)")
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Fifty at once, each twice, and all gone again.
    private func bursts() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            let users = (0..<50).map { "burst-\(number)-\($0)" }
            for isAcquire in [true, true, false] {
                await withTaskGroup(of: Void.self) { group in
                    for user in users {
                        group.addTask { _ = await isAcquire ? scene.acquire(user) : scene.release(user) }
                    }
                }
            }
            try? await Task.sleep(for: .seconds(3))
        }
    }
}

extension DrillProgram {
    /// The daemons of a healthy run, by job: alone; with a provider of its own; with that and Redis.
    private static let healthySetups: [String: DrillSetup] = {
        // Idle for as short as a lease may be, so that the reaper has something to do.
        let settings = ["LEASE_IDLE_TIMEOUT_SECONDS": "15", "REAPER_INTERVAL_SECONDS": "0.5"]
        let looking = settings.merging(["RECONCILER_INTERVAL_SECONDS": "1"]) { $1 }
        var setups = [
            "sandbox-manager-alone": DrillSetup(settings: looking),
            "sandbox-manager-cloud": DrillSetup(settings: looking, needsCloud: true),
        ]
        if ChildProcess.find("redis-server") != nil {
            setups["sandbox-manager-shared"] = DrillSetup(settings: looking, needsCloud: true, needsRedis: true)
        }
        return setups
    }()

    /// Puts healthy load on healthy daemons.
    ///
    /// - Returns: What fired and what was answered.
    public func runHealthy(for duration: Duration) async throws -> HealthyReport {
        try await onStage(Self.healthySetups, speedup: PrometheusServer.speedup) { stage, server in
            progress("healthy load for \(duration)")
            let start = Date().timeIntervalSince1970
            try await withThrowingTaskGroup(of: Void.self) { group in
                for job in Self.healthySetups.keys {
                    let scene = try await stage.scene(job)
                    group.addTask { await HealthyLoad(scene: scene).run() }
                }
                defer { group.cancelAll() }
                try await Task.sleep(for: duration)
            }
            var fired: Set<String> = []
            var answers: [Int: Int] = [:]
            for job in Self.healthySetups.keys {
                for seen in try await server.seen(job: job, since: start) where seen.state == "firing" {
                    fired.insert("\(seen.alert) (\(job))")
                }
                answers.merge(try await stage.scene(job).answers) { $0 + $1 }
            }
            return HealthyReport(
                seconds: duration / .seconds(1),
                speedup: PrometheusServer.speedup,
                answers: answers,
                fired: fired.sorted(),
                ruleErrors: try await server.ruleErrors()
            )
        }
    }
}
