internal import Glibc
public import Logging
internal import SandboxCore

/// One event, one line, on standard error: as text for eyes or as JSON for machines.
///
/// Values are escaped, so that nothing that came from outside can forge a line.
public struct LineLogHandler: LogHandler {
    /// How a line looks.
    public enum Format: Sendable {
        /// `time level message key=value ...`
        case text
        /// An object.
        case json
    }

    /// The least important level that is written.
    public var logLevel: Logger.Level
    /// Added to each event.
    public var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: Format

    /// A handler for the logger called `label`.
    public init(label: String, format: Format, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    /// Reads and writes one value of the handler's metadata.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes the event.
    public func log(event: LogEvent) {
        let line = render(event, at: SystemTime().wallNow())
        // One write a line: lines of different threads do not mix. A log that cannot be written is lost.
        _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The line for an event, with its line feed.
    func render(_ event: LogEvent, at time: WallTime) -> String {
        var all = metadata.merging(event.metadata ?? [:]) { _, own in own }
        if let error = event.error { all["error"] = "\(error)" }
        return render(level: event.level, message: "\(event.message)", metadata: all, at: time)
    }

    func render(level: Logger.Level, message: String, metadata: Logger.Metadata, at time: WallTime) -> String {
        let pairs = metadata.sorted { $0.key < $1.key }
        let stamp = Self.stamp(time)
        switch format {
        case .text:
            let values = pairs.map { " \(Self.word($0.key))=\(Self.word("\($0.value)"))" }.joined()
            return "\(stamp) \(level) \(Self.word(message, mayHaveBlanks: true))\(values)\n"
        case .json:
            let fields = [
                ("time", stamp), ("level", level.rawValue), ("logger", label), ("message", message),
            ]
            // A name of ours stays ours: of two members of one name nobody knows which one counts.
            let taken = Set(fields.map(\.0))
            let all = fields + pairs.map { (taken.contains($0.key) ? "metadata_\($0.key)" : $0.key, "\($0.value)") }
            let members = all.map { "\(Self.quoted($0.0)):\(Self.quoted($0.1))" }
            return "{\(members.joined(separator: ","))}\n"
        }
    }

    private static func stamp(_ time: WallTime) -> String {
        var seconds = time_t(time.microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int32, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
        let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(padded(Int32(time.microseconds / 1000 % 1000), 3))Z"
    }

    /// The text as it is where it cannot be mistaken for anything else, else quoted.
    private static func word(_ text: String, mayHaveBlanks: Bool = false) -> String {
        let isHarmless = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: " "): mayHaveBlanks
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "="): false
            default: byte > 32 && byte < 127
            }
        }
        return isHarmless && !text.isEmpty ? text : quoted(text)
    }

    /// The text as a JSON string without anything that ends a line or steers a terminal.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            // Both sets of control characters, and the separators that some viewers take for line ends.
            case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
