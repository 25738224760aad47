internal import Foundation
internal import Glibc
internal import Synchronization

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

/// Ways to wait.
enum Pause {
    /// Also in a task that was cancelled: for ending what was started.
    static func always(_ duration: Duration) async {
        await Task.detached { try? await Task.sleep(for: duration) }.value
    }

    /// Asks until there is an answer.
    ///
    /// - Throws: ``DrillError`` after `limit`; `CancellationError`.
    static func until<Value>(
        _ what: @autoclosure () -> String,
        within limit: Duration,
        every pause: Duration = .milliseconds(50),
        _ ask: () async throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        while true {
            if let answer = try await ask() { return answer }
            guard ContinuousClock.now < deadline else { throw DrillError("\(what()): not within \(limit)") }
            try await Task.sleep(for: pause)
        }
    }
}

/// A folder for the files of drills, removed at the end.
struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())/sandbox-manager-drill-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw DrillError("cannot make a temporary folder (errno \(errno))") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A new folder inside.
    func make(_ name: String) throws -> String {
        let inner = "\(path)/\(name)"
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        return inner
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// A port of the loopback interface that nobody listens on; another process may take it before it is used.
func freeLoopbackPort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw DrillError("no socket (errno \(errno))") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
        }
    }
    guard isBound else { throw DrillError("no free port (errno \(errno))") }
    return UInt16(bigEndian: address.sin_port)
}
