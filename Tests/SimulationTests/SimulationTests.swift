import Foundation
import Simulation
import Testing

/// The simulation is a program of its own, as its executor is the whole process': docs/SIMULATION.md.
@Suite(.timeLimit(.minutes(3)), .serialized) struct SimulationTests {
    /// Found something once, or cover much: each stays.
    private static let known: [UInt64] = [
        2, 20, 120, 156, 179, 185, 1090, 1136, 1166, 3279, 238_403_349, 485_584_603,
    ]

    @Test(arguments: known) func `a known seed breaks no invariant`(seed: UInt64) async throws {
        let run = try await Simulator.run("--seed", "\(seed)", "--steps", "20000")
        #expect(run.status == 0, "\(run.output)")
    }

    @Test func `seeds that nobody has chosen break no invariant`() async throws {
        // The failing seed and how to repeat it stand in the output.
        let run = try await Simulator.run("--fresh", "6", "--steps", "8000")
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.contains("runs=6 ") && run.output.contains(" failed=0 "))
    }

    @Test func `one seed gives one history, byte for byte, also while the processor is busy`() async throws {
        let arguments = ["--seed", "7", "--steps", "20000", "--trace"]
        let first = try await Simulator.run(arguments)
        async let second = Simulator.run(arguments)
        async let third = Simulator.run(arguments)
        async let other = Simulator.run("--seed", "8", "--steps", "20000", "--trace")
        let repeated = try await [second, third]
        #expect(first.status == 0 && first.history.split(separator: "\n").count > 200)
        #expect(repeated.allSatisfy { $0.history == first.history })
        #expect(try await other.history != first.history, "another seed is another history")
    }

    @Test func `what is left out of a run changes no draw of the rest`() async throws {
        let run = try await Simulator.run("--seed", "7", "--steps", "3000", "--faults", "none", "--trace")
        #expect(run.status == 0)
        #expect(!run.history.contains("fault #"))
    }

    @Test func `I6 user locks that are never removed are found, and the shortest history repeats it`() async throws {
        let run = try await Simulator.run("--seed", "1", "--steps", "4000", "--leak-user-locks")
        #expect(run.status == 1)
        let found = try #require(run.output.firstMatch(of: /violation I6 seed=1 step=\d+/))
        #expect(!found.output.isEmpty)
        let command = try #require(run.output.matches(of: /replay: simulate (.*)/).last)
        let replay = try await Simulator.run(command.output.1.split(separator: " ").map(String.init) + ["--no-shrink"])
        #expect(replay.status == 1 && replay.output.contains("violation I6"))
    }

    @Test func `faults that do not exist are refused`() async throws {
        let run = try await Simulator.run("--seed", "1", "--faults", "rain")
        #expect(run.status != 0 && run.output.contains("no fault rain"))
    }
}
