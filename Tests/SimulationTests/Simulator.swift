import Foundation

/// The built program, run to its end.
struct Simulator {
    let status: Int32
    let output: String

    /// All but the line that tells how fast it was.
    var history: String {
        output.split(separator: "\n").filter { !$0.hasPrefix("runs=") }.joined(separator: "\n")
    }

    static func run(_ arguments: String...) async throws -> Simulator { try await run(arguments) }

    static func run(_ arguments: [String]) async throws -> Simulator {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        // Beside the tasks' own threads: reading waits.
        let output = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: pipe.fileHandleForReading.readDataToEndOfFile()) }
        }
        process.waitUntilExit()
        return Simulator(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
    }

    /// Beside the test bundle.
    private static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "simulate")
}
