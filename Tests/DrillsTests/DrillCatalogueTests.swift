import Foundation
import Testing

@testable import Drills

@Suite struct `Drills and the shipped alerts` {
    @Test func `every alert has a drill, and no more than one`() throws {
        let drilled = DrillCatalogue.all.map(\.alert)
        #expect(Set(try shippedAlerts().alerts()).subtracting(drilled).isEmpty)
        #expect(Set(drilled).count == drilled.count)
    }

    @Test func `companions and side effects are alerts, and never the alert itself`() throws {
        let alerts = try shippedAlerts()
        let shipped = try alerts.alerts()
        let names = Set(DrillCatalogue.all.map(\.alert))
        for drill in DrillCatalogue.all where shipped.contains(drill.alert) {
            let companions = try alerts.companions(of: drill.alert)
            #expect(companions.isSubset(of: names), "\(drill.alert)")
            #expect(!companions.contains(drill.alert), "\(drill.alert)")
            #expect(drill.sideEffects.isSubset(of: names), "\(drill.alert)")
            #expect(!drill.cause.isEmpty && !drill.cause.contains("\n"), "\(drill.alert)")
        }
    }

    @Test func `companions are the paragraph that begins with that word`() {
        let runbook = """
            # SandboxManagerOne

            Companions: `SandboxManagerTwo`, SandboxManagerThree,
            SandboxManagerFour.

            ## Meaning

            Not SandboxManagerFive.
            """
        let expected: Set = ["SandboxManagerTwo", "SandboxManagerThree", "SandboxManagerFour"]
        #expect(AlertFolder.companions(inRunbook: runbook) == expected)
        #expect(AlertFolder.companions(inRunbook: "# SandboxManagerOne\n\nCompanions: none\n").isEmpty)
        #expect(AlertFolder.companions(inRunbook: "# SandboxManagerOne\n").isEmpty)
    }

    @Test func `a drill is found with and without the prefix`() throws {
        #expect(try DrillCatalogue.drill("Down").alert == "SandboxManagerDown")
        #expect(try DrillCatalogue.drill("SandboxManagerDown").alert == "SandboxManagerDown")
        #expect(throws: DrillError.self) { try DrillCatalogue.drill("Up") }
    }

    @Test func `drills side by side have one speedup, and none is left out`() {
        let groups = DrillProgram.groups(DrillCatalogue.all)
        #expect(groups.flatMap { $0.map(\.alert) }.sorted() == DrillCatalogue.all.map(\.alert).sorted())
        for group in groups { #expect(Set(group.map(\.speedup)).count == 1 && group.count <= 6) }
        let down = DrillCatalogue.all.filter { $0.alert == "SandboxManagerDown" }
        #expect(DrillProgram.groups(down + down).count == 2)
    }

    @Test func `rules are found in the folder that is named, or beside the executable's package`() throws {
        let alerts = package.appendingPathComponent("alerts").path
        let executable = package.appendingPathComponent(".build/x86_64/release/sandbox-manager").path
        #expect(try AlertFolder.find(named: nil, executable: executable).path == alerts)
        #expect(try AlertFolder.find(named: alerts, executable: "/nowhere/at/all").path == alerts)
        #expect(throws: DrillError.self) { try AlertFolder.find(named: "/nowhere", executable: executable) }
    }
}
