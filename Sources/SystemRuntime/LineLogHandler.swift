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
        let all = metadata.merging(event.metadata ?? [:]) { _, own in own }
        let line = render(
            level: event.level,
            message: "\(event.message)",
            metadata: all,
            at: SystemTime().wallNow()
        )
        // One write a line: lines of different threads do not mix. A log that cannot be written is lost.
        _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The line for an event, with its line feed.
    func render(level: Logger.Level, message: String, metadata: Logger.Metadata, at time: WallTime) -> String {
        let pairs = metadata.sorted { $0.key < $1.key }
        let stamp = Self.stamp(time)
        switch format {
        case .text:
            let values = pairs.map { " \($0.key)=\(Self.quoted("\($0.value)", always: false))" }.joined()
            return "\(stamp) \(level) \(Self.quoted(message, always: false, blanks: true))\(values)\n"
        case .json:
            let fields = [
                ("time", stamp), ("level", level.rawValue), ("logger", label), ("message", message),
            ]
            let all = fields + pairs.map { ($0.key, "\($0.value)") }
            let members = all.map { "\(Self.quoted($0.0, always: true)):\(Self.quoted($0.1, always: true))" }
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

    /// The text as a JSON string where needed; in text lines harmless words stay bare.
    private static func quoted(_ text: String, always: Bool, blanks: Bool = false) -> String {
        let isHarmless = text.unicodeScalars.allSatisfy {
            $0.value > (blanks ? 31 : 32) && $0.value != 127 && $0 != "\"" && $0 != "\\" && $0.isASCII
        }
        if isHarmless && !always && !text.isEmpty { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            // Control characters, and the separators that some viewers take for line ends.
            case _ where scalar.value < 32 || scalar.value == 127 || scalar.value == 0x2028 || scalar.value == 0x2029:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
