import Foundation
import Testing

@testable import Drills

@Suite struct `Scaling of rules` {
    private static let rules = (try? shippedAlerts().rules()) ?? ""

    @Test(arguments: [2.0, 7, 60, 240, 21_600])
    func `the shipped rules come out as from the script`(speedup: Double) throws {
        let script = package.appendingPathComponent("scripts/scale_rules.py").path
        let file = package.appendingPathComponent("alerts/sandbox-manager.rules.yml").path
        let expected = try output(of: python, [script, file, "--speedup", String(speedup)])
        #expect(expected.count > 10_000)
        #expect(try RuleScaling(speedup: speedup).scaled(Self.rules) == expected)
    }

    @Test func `spans are divided and everything else stays, byte for byte`() throws {
        let rules = """
            # for: 5m is a comment
            groups:
              - name: drill
                interval: 1m # often
                query_offset: "30s"
                rules:
                  - alert: One
                    expr: rate(a{b="[5m]"}[10m]) > 60 # seconds
                    for: 0s
                  - expr: |
                      max_over_time(x[1h30m:1m] offset -2m) > 7200 # seconds, all of them
                        and offset_total > 60 # second thoughts

                      or y{z='it''s [1m] # seconds'} > 1.5 # seconds
                    keep_firing_for: 1d
            """
        let expected = """
            # for: 5m is a comment
            groups:
              - name: drill
                interval: 1000ms # often
                query_offset: 500ms
                rules:
                  - alert: One
                    expr: rate(a{b="[5m]"}[10000ms]) > 1 # seconds
                    for: 0s
                  - expr: |
                      max_over_time(x[90000ms:1000ms] offset -2000ms) > 120 # seconds, all of them
                        and offset_total > 60 # second thoughts

                      or y{z='it''s [1m] # seconds'} > 0.025 # seconds
                    keep_firing_for: 1440000ms
            """
        #expect(try RuleScaling(speedup: 60).scaled(rules) == expected)
    }

    @Test func `what cannot be scaled is refused, with its line`() throws {
        let scaling = RuleScaling(speedup: 1000)
        #expect(throws: DrillError("line 2: a quoted expression; write it as a block (expr: |)")) {
            try scaling.scaled("x:\n  expr: 'up[5m]'")
        }
        #expect(throws: DrillError("line 1: not a duration: soon")) { try scaling.scaled("for: soon") }
        #expect(throws: DrillError("100ms divided by 1000.0 is less than a millisecond")) {
            try scaling.scaled("for: 100ms")
        }
    }

    @Test func `the shortest range of the shipped rules spans two scrapes at the usual speedup`() throws {
        let scaled = try RuleScaling(speedup: PrometheusServer.speedup).scaled(Self.rules)
        let shortest = try #require(try RuleScaling.shortestRange(in: scaled))
        #expect(.milliseconds(shortest) >= PrometheusServer.interval * 2)
        #expect(try RuleScaling.shortestRange(in: "expr: up") == nil)
    }
}

/// The folder of the package.
let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

func shippedAlerts() throws -> AlertFolder {
    try AlertFolder(path: package.appendingPathComponent("alerts").path)
}

private let python = ProcessInfo.processInfo.environment["SANDBOX_MANAGER_TEST_PYTHON"] ?? "/usr/bin/env"

private func output(of program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = program == "/usr/bin/env" ? ["python3"] + arguments : arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: data, as: UTF8.self)
}
