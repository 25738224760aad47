internal import Foundation

/// Carries out one drill on a scene that Prometheus scrapes already.
struct DrillRun {
    let drill: Drill
    let scene: Scene
    let prometheus: PrometheusServer
    /// What may fire with it.
    let companions: Set<String>

    /// - Throws: `CancellationError` only; all else is in the report.
    func report() async throws -> DrillReport {
        var report = DrillReport(alert: drill.alert, cause: drill.cause, speedup: drill.speedup)
        do {
            try await carryOut(&report)
        } catch let error as CancellationError {
            throw error
        } catch {
            let words = await scene.lastWords
            report.failure = "\(error)" + (words.isEmpty ? "" : "; the daemon's last words: \(words)")
        }
        return report
    }

    private func carryOut(_ report: inout DrillReport) async throws {
        try await drill.prepare(scene)
        let start = Self.now
        report = try await withThrowingTaskGroup(of: Void.self) { group in
            var report = report
            let generator = LoadGenerator(load: drill.load)
            group.addTask { [scene] in await generator.run(scene) }
            defer { group.cancelAll() }
            let caused = Self.now
            let provocation = Task { [drill, scene] in try await drill.provoke(scene) }
            let firing = await Result.catching { try await wait(for: "firing") }
            let seen = try await prometheus.seen(job: scene.job, since: caused)
            report.pendingAfter = Self.first("pending", of: drill.alert, in: seen).map { $0 - caused }
            report.firingAfter = Self.first("firing", of: drill.alert, in: seen).map { $0 - caused }
            provocation.cancel()
            // Waited for in any case: it may be about to start a process. And a cause that could not be brought about
            // is a failure of the drill, whatever fired.
            do { try await provocation.value } catch is CancellationError {}
            try firing.get()
            let mended = Self.now
            try await drill.mend(scene)
            try await wait(for: nil)
            report.resolvedAfter = Self.now - mended
            return report
        }
        let seen = try await prometheus.seen(job: scene.job, since: start)
        report.unexpected = drill.judgesOthers ? others(seen) : []
        if let error = try await prometheus.ruleErrors().first { report.failure = "a rule fails: \(error)" }
    }

    /// Waits for a state of the alert; nil for none.
    private func wait(for wanted: String?) async throws {
        let limit = drill.patience
        try await Pause.until("\(drill.alert) \(wanted ?? "resolved")", within: limit, every: .milliseconds(100)) {
            let state = try await prometheus.state(of: drill.alert, job: scene.job)
            // Resolved is no longer firing: it may be pending again for as long as its windows last.
            return wanted == nil ? (state == nil ? () : nil) : (state == wanted ? () : nil)
        }
    }

    /// Who fired and has no business here.
    private func others(_ seen: [PrometheusServer.Seen]) -> [String] {
        let fired = Set(seen.filter { $0.state == "firing" }.map(\.alert))
        return fired.subtracting(companions).subtracting(drill.sideEffects).subtracting([drill.alert]).sorted()
    }

    private static func first(_ state: String, of alert: String, in seen: [PrometheusServer.Seen]) -> Double? {
        seen.filter { $0.alert == alert && $0.state == state }.map(\.first).min()
    }

    private static var now: Double { Date().timeIntervalSince1970 }
}

extension Result where Failure == any Error {
    /// What a throwing call comes to.
    static func catching(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
