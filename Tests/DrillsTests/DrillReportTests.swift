import Testing

@testable import Drills

@Suite struct `Reports of drills` {
    private let passed = DrillReport(
        alert: "SandboxManagerOne",
        cause: "this | that",
        speedup: 240,
        pendingAfter: 0.26,
        firingAfter: 3.75,
        resolvedAfter: 2.5
    )

    @Test func `a drill passes if its alert fired and resolved, and nothing else fired`() {
        #expect(passed.hasPassed)
        for spoil in [
            { $0.firingAfter = nil }, { $0.resolvedAfter = nil }, { $0.failure = "no" }, { $0.unexpected = ["Two"] },
        ] as [(inout DrillReport) -> Void] {
            var report = passed
            spoil(&report)
            #expect(!report.hasPassed)
        }
        // A rule without a pending time is none the worse.
        var sudden = passed
        sudden.pendingAfter = nil
        #expect(sudden.hasPassed)
    }

    @Test func `a table has a line for each drill and counts them`() {
        var failed = DrillReport(alert: "SandboxManagerTwo", cause: "nothing", speedup: 21_600, firingAfter: 8)
        failed.failure = "it is\nstill firing"
        failed.unexpected = ["SandboxManagerDown"]
        let expected = """
            | alert | cause | speedup | pending (s) | firing (s) | resolved (s) | firing at real windows | result |
            |---|---|---|---|---|---|---|---|
            | SandboxManagerOne | this \\| that | 240 | 0.3 | 3.8 | 2.5 | 15 min | passed |
            | SandboxManagerTwo | nothing | 21600 |  | 8.0 |  | 2.0 days | **failed**: it is still firing; also fired: \
            SandboxManagerDown |

            1 of 2 drills passed.

            """
        #expect(DrillTable.markdown([passed, failed]) == expected)
    }

    @Test(arguments: [(0.25, "60 s"), (3.75, "15 min"), (60, "4.0 h"), (1000, "2.8 days")])
    func `time to firing is told at the real windows`(seconds: Double, text: String) {
        var report = passed
        report.firingAfter = seconds
        #expect(report.firingUnshrunk == text)
    }

    @Test func `JSON holds the same`() throws {
        let json = try DrillTable.json([passed])
        #expect(json.contains("\"firingAfter\" : 3.75"))
    }

    @Test func `healthy load passes if nothing fired and everybody was served`() {
        var report = HealthyReport(seconds: 60, speedup: 240, answers: [200: 10, 201: 5, 204: 3], fired: [])
        #expect(report.hasPassed)
        #expect(report.markdown.contains("4 hours of the rules' time: answers 10 × 200, 5 × 201, 3 × 204"))
        report.answers[503] = 1
        #expect(!report.hasPassed)
        report.answers = [:]
        #expect(!report.hasPassed)
        report = HealthyReport(seconds: 60, speedup: 240, answers: [200: 1], fired: ["SandboxManagerDown (alone)"])
        #expect(!report.hasPassed)
    }
}
