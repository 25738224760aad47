internal import Foundation

/// Runs drills: real daemons, a real Prometheus with the shipped rules, real causes.
///
/// Everything lives on loopback and in a temporary folder, and is ended and removed however the run ends; cancelling
/// the task is a way to end it.
public struct DrillProgram: Sendable {
    /// Several drills share one Prometheus, side by side; more would disturb each other on a small machine.
    private static let groupSize = 6

    private let daemon: String
    private let prometheus: String
    private let alerts: AlertFolder
    let progress: @Sendable (String) -> Void

    /// - Parameters:
    ///   - daemon: Path of the daemon's executable.
    ///   - prometheus: Path of Prometheus, or its name on the PATH; version 2.42 or later.
    ///   - alerts: The rules and runbooks that are drilled.
    ///   - progress: Is told what happens, in lines.
    /// - Throws: If there is no such Prometheus.
    public init(
        daemon: String,
        prometheus: String = "prometheus",
        alerts: AlertFolder,
        progress: @escaping @Sendable (String) -> Void
    ) throws {
        guard let found = ChildProcess.find(prometheus) else {
            throw DrillError("there is no \(prometheus) on the PATH; drills need one (Debian: prometheus)")
        }
        self.daemon = daemon
        self.prometheus = found
        self.alerts = alerts
        self.progress = progress
    }

    /// Runs the drills of these alerts, the prefix `SandboxManager` left out if one likes; all there are for none.
    ///
    /// - Returns: A report for each, in order; of all, if alerts without a drill are among the rules, for these as well.
    /// - Throws: For an alert without a drill, or if Prometheus cannot run; a drill that fails is a report.
    public func run(_ names: [String]) async throws -> [DrillReport] {
        let shipped = try alerts.alerts()
        // Rules of another version may lack some.
        let known = DrillCatalogue.all.filter { shipped.contains($0.alert) }
        let drills = try names.isEmpty ? known : names.map(DrillCatalogue.drill)
        var reports: [DrillReport] = []
        for group in Self.groups(drills) { reports += try await run(group) }
        guard names.isEmpty else { return reports }
        let missing = Set(shipped).subtracting(DrillCatalogue.all.map(\.alert)).sorted()
        return reports
            + missing.map {
                DrillReport(alert: $0, cause: "", speedup: 1, failure: "the rules have it, and there is no drill")
            }
    }

    /// Those of one speedup side by side, in order.
    static func groups(_ drills: [Drill]) -> [[Drill]] {
        var groups: [[Drill]] = []
        for drill in drills {
            if let last = groups.indices.last(where: {
                groups[$0].count < groupSize && groups[$0][0].speedup == drill.speedup
                    && groups[$0][0].interval == drill.interval && !groups[$0].contains { $0.alert == drill.alert }
            }) {
                groups[last].append(drill)
            } else {
                groups.append([drill])
            }
        }
        return groups
    }

    private func run(_ drills: [Drill]) async throws -> [DrillReport] {
        let setups = Dictionary(uniqueKeysWithValues: drills.map { (Self.job(of: $0.alert), $0.setup) })
        return try await onStage(setups, speedup: drills[0].speedup, interval: drills[0].interval) { stage, server in
            try await withThrowingTaskGroup(of: (Int, DrillReport).self) { group in
                for (index, drill) in drills.enumerated() {
                    let scene = try await stage.scene(Self.job(of: drill.alert))
                    let companions = try alerts.companions(of: drill.alert)
                    group.addTask {
                        let run = DrillRun(drill: drill, scene: scene, prometheus: server, companions: companions)
                        progress("\(drill.alert): \(drill.cause)")
                        let report = try await run.report()
                        progress(Self.line(report))
                        // Others may go on for a while, and can use the processor.
                        await scene.close()
                        return (index, report)
                    }
                }
                var reports: [Int: DrillReport] = [:]
                for try await (index, report) in group { reports[index] = report }
                return drills.indices.compactMap { reports[$0] }
            }
        }
    }

    /// Starts what the setups need and Prometheus, and ends it all after the body, however that ends.
    func onStage<Value>(
        _ setups: [String: DrillSetup],
        speedup: Double,
        interval: Duration = PrometheusServer.interval,
        _ body: (Stage, PrometheusServer) async throws -> Value
    ) async throws -> Value {
        let stage = try Stage(daemon: daemon, prometheus: prometheus, rules: try alerts.rules())
        progress("starting \(setups.count == 1 ? "a daemon" : "\(setups.count) daemons") and Prometheus")
        let result = await Result.catching {
            let server = try await stage.open(setups, speedup: speedup, interval: interval)
            return try await body(stage, server)
        }
        await stage.close()
        return try result.get()
    }

    private static func job(of alert: String) -> String { "sandbox-manager-\(alert)" }

    private static func line(_ report: DrillReport) -> String {
        func seconds(_ value: Double?) -> String { value.map { String(format: "%.1f s", $0) } ?? "never" }
        let times =
            "pending \(seconds(report.pendingAfter)), firing \(seconds(report.firingAfter)), "
            + "resolved \(seconds(report.resolvedAfter))"
        let others = report.unexpected.isEmpty ? "" : "; also fired: \(report.unexpected.joined(separator: ", "))"
        let failure = report.failure.map { "; \($0)" } ?? ""
        return "\(report.alert): \(report.hasPassed ? "passed" : "FAILED"): \(times)\(others)\(failure)"
    }
}
