internal import Foundation
internal import Glibc

/// A program that a drill runs and ends by its id, with what it prints in a file.
final class ChildProcess: Sendable {
    private let process: Process
    private let logPath: String

    /// Starts the program at this path in `folder`, with nothing of this process's environment but what is handed in.
    /// It prints into the file `log` there; what was in it stays.
    init(_ program: String, _ arguments: [String], environment: [String: String], folder: String, log: String) throws {
        logPath = "\(folder)/\(log)"
        if !FileManager.default.fileExists(atPath: logPath) {
            _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        }
        guard let output = FileHandle(forWritingAtPath: logPath) else { throw DrillError("cannot write \(logPath)") }
        try output.seekToEnd()
        process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw DrillError("cannot run \(program): \(error.localizedDescription)") }
        try? output.close()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var id: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// What it has printed so far.
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// The last lines it has printed, for a message; what goes well is left out.
    var lastWords: String {
        log.split(separator: "\n").filter { !$0.contains(" notice ") }.suffix(4).joined(separator: "\n")
    }

    /// Sends a signal, if it runs.
    func send(_ signal: Int32) { if process.isRunning { kill(id, signal) } }

    /// Ends it as a crash would, and waits until it is gone.
    func crash() async {
        send(SIGKILL)
        while process.isRunning { await Pause.always(.milliseconds(2)) }
    }

    /// Asks it to end, and insists after the patience.
    func end(patience: Duration = .seconds(5)) async {
        // One that is frozen hears nothing.
        send(SIGTERM)
        send(SIGCONT)
        let deadline = ContinuousClock.now + patience
        while process.isRunning, ContinuousClock.now < deadline { await Pause.always(.milliseconds(5)) }
        await crash()
    }

    /// Where a program of that name lies on the search path.
    static func find(_ name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
