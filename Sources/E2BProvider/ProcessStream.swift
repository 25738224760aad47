internal import SandboxCore

/// Puts the reply of a command together from the agent's stream.
struct ProcessStream {
    /// How a stream ended without a result.
    struct StreamError: Decodable, Equatable {
        /// The Connect code: `not_found`, `deadline_exceeded`, and so on.
        var code: String
        var message: String?
    }

    enum Outcome {
        case result(ExecResult)
        case failed(StreamError)
        case malformed
    }

    private struct Message: Decodable {
        struct Event: Decodable {
            var data: Data?
            var end: End?
        }
        struct Data: Decodable {
            var stdout: String?
            var stderr: String?
        }
        struct End: Decodable {
            var exitCode: Int?
            var exited: Bool?
            var status: String?
        }
        var event: Event?
    }

    private struct Trailer: Decodable {
        var error: StreamError?
    }

    private let limit: Int
    private var output: [UInt8] = []
    private var errors: [UInt8] = []
    private var truncated = false
    private var end: Message.End?
    private var trailer: Trailer?

    /// Reads a whole stream, keeping at most `limit` bytes of each output.
    static func read(_ bytes: [UInt8], limit: Int) -> Outcome {
        var stream = ProcessStream(limit: limit)
        guard let frames = ConnectFrames.parse(bytes), frames.allSatisfy({ stream.take($0) }) else { return .malformed }
        return stream.outcome
    }

    private init(limit: Int) { self.limit = limit }

    private mutating func take(_ frame: ConnectFrames.Frame) -> Bool {
        if frame.isLast {
            trailer = JSON.decode(Trailer.self, Array(frame.payload))
            return trailer != nil
        }
        guard let message = JSON.decode(Message.self, Array(frame.payload)) else { return false }
        if let data = message.event?.data {
            guard append(data.stdout, to: \.output), append(data.stderr, to: \.errors) else { return false }
        }
        if let end = message.event?.end { self.end = end }
        return true
    }

    private mutating func append(_ base64: String?, to stream: WritableKeyPath<ProcessStream, [UInt8]>) -> Bool {
        guard let base64 else { return true }
        guard let bytes = JSON.base64(base64) else { return false }
        let room = max(0, limit - self[keyPath: stream].count)
        self[keyPath: stream].append(contentsOf: bytes.prefix(room))
        if bytes.count > room { truncated = true }
        return true
    }

    private var outcome: Outcome {
        guard let trailer else { return .malformed }
        if let error = trailer.error {
            guard error.code == "deadline_exceeded" else { return .failed(error) }
            return .result(result(exitCode: nil, signal: nil, timedOut: true))
        }
        guard let end else { return .malformed }
        if let signal = end.status.flatMap({ Signals.number(ofStatus: $0) }) {
            return .result(result(exitCode: nil, signal: signal, timedOut: false))
        }
        // Zero is the default that the agent's JSON leaves out.
        return .result(result(exitCode: end.exitCode ?? 0, signal: nil, timedOut: false))
    }

    private func result(exitCode: Int?, signal: Int?, timedOut: Bool) -> ExecResult {
        ExecResult(
            standardOutput: output,
            standardError: errors,
            exitCode: exitCode,
            signal: signal,
            timedOut: timedOut,
            truncated: truncated
        )
    }
}

/// The agent tells a signal by its name, `signal: killed`.
private enum Signals {
    /// Source: Go's syscall package, Linux.
    private static let numbers = [
        "hangup": 1, "interrupt": 2, "quit": 3, "illegal instruction": 4, "trace/breakpoint trap": 5, "aborted": 6,
        "bus error": 7, "floating point exception": 8, "killed": 9, "user defined signal 1": 10,
        "segmentation fault": 11, "user defined signal 2": 12, "broken pipe": 13, "alarm clock": 14, "terminated": 15,
    ]

    static func number(ofStatus status: String) -> Int? {
        let prefix = "signal: "
        guard status.hasPrefix(prefix) else { return nil }
        var name = status.dropFirst(prefix.count)
        if name.hasSuffix(" (core dumped)") { name = name.dropLast(" (core dumped)".count) }
        // "signal 35": those without a name.
        if name.hasPrefix("signal ") { return Int(name.dropFirst("signal ".count)) }
        return numbers[String(name)]
    }
}
