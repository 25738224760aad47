/// Pretends to run a command and writes the agent's stream of events. Nothing is ever started.
///
/// Known are `true`, `false`, `echo`, `exit`, `sleep`, `head -c N /dev/zero` and `kill -SIGNAL $$`, alone or, as an
/// argument of a shell's `-c`, joined by `;` and `&&`; `>&2` at the end of a piece sends its output to standard error.
struct ProcessScript {
    /// The whole reply of a command, and how many milliseconds it takes.
    struct Run {
        var reply: FakeReply
        var milliseconds: Int
    }

    private static let shells: Set<String> = ["/bin/bash", "/bin/sh", "bash", "sh"]
    private static let known: Set<String> = ["true", "false", "echo", "exit", "sleep", "head", "kill", ":"]
    private static let signals = ["KILL": "killed", "9": "killed", "TERM": "terminated", "SEGV": "segmentation fault"]

    private var output: [UInt8] = []
    private var errors: [UInt8] = []
    private var exitCode = 0
    private var signal: String?
    private var milliseconds = 0
    private var isOver = false

    /// Plays a command, cut off after `limit` milliseconds as the agent does.
    static func play(_ command: [String], within limit: Int?) -> Run {
        var script = ProcessScript()
        if let line = shellLine(command) {
            script.playLine(line)
        } else if let program = command.first, known.contains(program.split(separator: "/").last.map(String.init) ?? "")
        {
            script.playPiece(command)
        } else {
            return Run(reply: failed("invalid_argument", "fork/exec: no such file or directory"), milliseconds: 0)
        }
        if let limit, limit > 0, script.milliseconds > limit {
            let reply = script.stream(error: ("deadline_exceeded", "context deadline exceeded"))
            return Run(reply: reply, milliseconds: limit)
        }
        return Run(reply: script.stream(error: nil), milliseconds: script.milliseconds)
    }

    /// A stream that ends at once with an error.
    static func failed(_ code: String, _ message: String) -> FakeReply {
        stream([], error: (code, message))
    }

    private static func shellLine(_ command: [String]) -> String? {
        guard let program = command.first, shells.contains(program), let index = command.firstIndex(of: "-c"),
            index + 1 < command.count
        else { return nil }
        return command[index + 1]
    }

    // MARK: Playing

    private mutating func playLine(_ line: String) {
        for part in line.split(separator: ";") where !isOver {
            for piece in part.split(separator: "&&") where !isOver {
                playPiece(piece.split(separator: " ").map(String.init))
                if exitCode != 0 { break }
            }
        }
    }

    private mutating func playPiece(_ words: [String]) {
        var words = words
        let toErrors = words.last == ">&2"
        if toErrors { words.removeLast() }
        var printed: [UInt8] = []
        exitCode = 0
        let program = words.first?.split(separator: "/").last.map(String.init) ?? ""
        switch program {
        case "", "true", ":": break
        case "false": exitCode = 1
        case "echo": printed = Array((words.dropFirst().joined(separator: " ") + "\n").utf8)
        case "exit":
            exitCode = words.dropFirst().first.flatMap { Int($0) } ?? 0
            isOver = true
        case "sleep": milliseconds += words.dropFirst().first.flatMap { Double($0) }.map { Int($0 * 1000) } ?? 0
        case "head": printed = Array(repeating: 0, count: words.compactMap { Int($0) }.first ?? 0)
        case "kill":
            signal = words.dropFirst().first.flatMap { Self.signals[String($0.dropFirst())] }
            isOver = true
        default:
            errors += Array("\(program): command not found\n".utf8)
            exitCode = 127
        }
        if toErrors { errors += printed } else { output += printed }
    }

    // MARK: The stream

    private func stream(error: (String, String)?) -> FakeReply {
        var events: [JSONValue] = [["event": ["start": ["pid": 42]]]]
        events += Self.chunks(output).map { ["event": ["data": ["stdout": .text(JSONValue.base64($0))]]] }
        events += Self.chunks(errors).map { ["event": ["data": ["stderr": .text(JSONValue.base64($0))]]] }
        if error == nil { events.append(["event": ["end": .object(end)]]) }
        return Self.stream(events, error: error)
    }

    private var end: [String: JSONValue] {
        if let signal { return ["exitCode": -1, "exited": false, "status": .text("signal: \(signal)")] }
        // Zero is a default, which this JSON leaves out.
        let status: [String: JSONValue] = ["exited": true, "status": .text("exit status \(exitCode)")]
        return exitCode == 0 ? status : status.merging(["exitCode": .int(exitCode)]) { $1 }
    }

    private static func chunks(_ bytes: [UInt8]) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: 32_768).map { Array(bytes[$0..<min($0 + 32_768, bytes.count)]) }
    }

    private static func stream(_ events: [JSONValue], error: (String, String)?) -> FakeReply {
        var body = events.flatMap { frame(0, $0.bytes) }
        let trailer: JSONValue =
            error.map { ["error": ["code": .text($0.0), "message": .text($0.1)]] } ?? [:]
        body += frame(2, trailer.bytes)
        return FakeReply(status: 200, headers: [("Content-Type", "application/connect+json")], body: body)
    }

    private static func frame(_ flags: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count)
        return [flags] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + payload
    }
}
