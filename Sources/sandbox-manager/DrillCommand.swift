internal import ArgumentParser
internal import Drills
internal import Foundation
internal import UnixSignals

/// `sandbox-manager drill`: alerts tried out on this very executable.
struct DrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract: "Brings alerts about on the real daemon, and checks that they fire and resolve.",
        discussion: """
            Starts this executable as a daemon on free ports of the loopback interface, and a Prometheus with the \
            shipped rules, whose spans of time are all divided by one factor. Then it causes what the alert is for, \
            waits until it fires, takes the cause away, and waits until it resolves. Nothing outside is touched. \
            The exit status is 1 if an alert did not fire or resolve, or if one fired that is not a companion in the \
            runbook.
            """
    )

    @Argument(help: "The alerts, such as SandboxManagerUserLockForgotten; the prefix may be left out.")
    var alerts: [String] = []

    @Flag(help: "Lists the alerts that can be drilled, and how each is caused.")
    var list = false

    @Flag(help: "Drills every alert; about five minutes.")
    var all = false

    @Flag(help: "Puts healthy load on healthy daemons, and fails if any alert fires.")
    var healthy = false

    @Option(help: "How long, for --healthy.")
    var minutes = 1.0

    @Option(help: "Prometheus 2.42 or later: a path, or a name on the PATH.")
    var prometheus = "prometheus"

    @Option(name: .customLong("alerts"), help: "The folder with rules and runbooks (default: the one of this package).")
    var folder: String?

    @Option(help: "Writes the results to this file, as a Markdown table.")
    var summary: String?

    @Flag(help: "Prints the results as JSON.")
    var json = false

    func validate() throws {
        let ways = [list, all, healthy, !alerts.isEmpty].count { $0 }
        guard ways == 1 else { throw ValidationError("Name alerts, or one of --list, --all and --healthy.") }
        guard minutes > 0 else { throw ValidationError("--minutes has to be more than zero.") }
    }

    func run() async throws {
        if list {
            for entry in DrillCatalogue.entries { print("\(entry.alert): \(entry.cause)") }
            return
        }
        let hasPassed: Bool
        do {
            hasPassed = try await untilSignal { try await carryOut() }
        } catch is CancellationError {
            printError("interrupted; everything that was started has ended")
            throw ExitCode(130)
        } catch let error as DrillError {
            printError("\(error)")
            throw ExitCode(1)
        }
        if !hasPassed { throw ExitCode(1) }
    }

    /// - Returns: Whether everything went as it should.
    private func carryOut() async throws -> Bool {
        let executable = ProcessEnvironment.executable
        let program = try DrillProgram(
            daemon: executable,
            prometheus: prometheus,
            alerts: try AlertFolder.find(named: folder, executable: executable),
            progress: { printError($0) }
        )
        if healthy {
            let report = try await program.runHealthy(for: .seconds(minutes * 60))
            try put(report.markdown, json ? try report.json() : report.markdown)
            return report.hasPassed
        }
        let reports = try await program.run(alerts)
        let table = DrillTable.markdown(reports)
        try put(table, json ? try DrillTable.json(reports) : table)
        return reports.allSatisfy(\.hasPassed)
    }

    private func put(_ table: String, _ printed: String) throws {
        print(printed)
        if let summary { try table.write(toFile: summary, atomically: true, encoding: .utf8) }
    }

    /// Runs the body, and cancels it at an interrupt; it ends its processes itself.
    private func untilSignal(_ body: @escaping @Sendable () async throws -> Bool) async throws -> Bool {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        return try await withThrowingTaskGroup(of: Bool?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in signals { return nil }
                // Cancelled, because the body is done.
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                group.cancelAll()
                // Not before the body has ended what it started.
                while await group.nextResult() != nil {}
                throw CancellationError()
            }
            return result
        }
    }
}
