/// One line of a page, read as far as it makes sense.
enum ExpositionLine {
    case blank
    case help(name: String, text: String)
    case type(name: String, type: String)
    case endOfFile
    case comment
    case sample(ParsedSample)

    /// A sample with all that is wrong with its line.
    struct ParsedSample {
        var name = ""
        var labels: [(name: String, value: String)] = []
        /// Nil if it can't be read.
        var value: Double?
        var problems: [(kind: ExpositionProblem.Kind, detail: String)] = []
    }

    /// `line` is without the `\n` at its end.
    init(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        guard let first = bytes.first else {
            self = .blank
            return
        }
        guard first == UInt8(ascii: "#") else {
            var scanner = SampleScanner(bytes: bytes)
            self = .sample(scanner.scan())
            return
        }
        // Split as bytes: a space and an accent after it are one `Character`.
        let words = bytes.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        switch words.dropFirst().first {
        case "EOF" where bytes.elementsEqual("# EOF".utf8): self = .endOfFile
        case "HELP" where words[0] == "#" && words.count >= 3:
            self = .help(name: words[2], text: words.count == 4 ? words[3] : "")
        case "TYPE" where words[0] == "#" && words.count == 4: self = .type(name: words[2], type: words[3])
        default: self = .comment
        }
    }

    /// Undoes the escaping of a help text. OpenMetrics escapes one character more, which the text format never does.
    static func unescapedHelp(_ text: String) -> String {
        var unescaped: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "\\"), let escaped = bytes.next() else {
                unescaped.append(byte)
                continue
            }
            unescaped.append(escaped == UInt8(ascii: "n") ? UInt8(ascii: "\n") : escaped)
        }
        return String(decoding: unescaped, as: UTF8.self)
    }

    /// Reads a number as both formats spell it; nil for anything else, also for what only one reader accepts.
    static func number(_ text: String) -> Double? {
        switch text {
        case "+Inf": return .infinity
        case "-Inf": return -.infinity
        case "NaN": return .nan
        default:
            let allowed = "0123456789+-.eE".utf8
            guard !text.hasPrefix("+"), text.utf8.allSatisfy(allowed.contains) else { return nil }
            return Double(text)
        }
    }

    static func isName(_ name: String, allowingColon: Bool = false) -> Bool {
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + (allowingColon ? ":" : "")
        guard let first = name.utf8.first, letters.utf8.contains(first) else { return false }
        return name.utf8.allSatisfy { letters.utf8.contains($0) || "0123456789".utf8.contains($0) }
    }
}

/// Reads `name{label="value",...} value`, byte by byte.
private struct SampleScanner {
    let bytes: [UInt8]
    private var position = 0
    private var sample = ExpositionLine.ParsedSample()

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func text(until stops: String) -> String {
        let start = position
        while let next, !stops.utf8.contains(next) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func report(_ kind: ExpositionProblem.Kind, _ detail: String) {
        sample.problems.append((kind, detail))
    }

    mutating func scan() -> ExpositionLine.ParsedSample {
        sample.name = text(until: "{ ")
        if !ExpositionLine.isName(sample.name, allowingColon: true) { report(.badMetricName, sample.name) }
        if skip("{") {
            guard scanLabels() else {
                report(.malformedLine, "labels end at byte \(position)")
                return sample
            }
        }
        guard skip(" ") else {
            report(.malformedLine, "no value")
            return sample
        }
        let value = text(until: " ")
        sample.value = ExpositionLine.number(value)
        if sample.value == nil { report(.badValue, value) }
        if position < bytes.count {
            let rest = String(decoding: bytes[position...], as: UTF8.self)
            let isTimestamp = ExpositionLine.number(String(rest.dropFirst())) != nil
            report(isTimestamp ? .timestamp : .malformedLine, "after the value:\(rest)")
        }
        return sample
    }

    /// False if the labels can't be read to their end.
    private mutating func scanLabels() -> Bool {
        if skip("}") {
            report(.malformedLine, "empty braces")
            return true
        }
        while true {
            let name = text(until: "=,} \"")
            if !ExpositionLine.isName(name) || name.hasPrefix("__") { report(.badLabelName, name) }
            if sample.labels.contains(where: { $0.name == name }) { report(.duplicateLabel, name) }
            guard skip("="), skip("\""), let value = scanLabelValue() else { return false }
            if value.isEmpty { report(.emptyLabelValue, name) }
            sample.labels.append((name, value))
            if skip("}") { return true }
            guard skip(",") else { return false }
        }
    }

    private mutating func scanLabelValue() -> String? {
        var value: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = next else { return nil }
                position += 1
                switch escaped {
                case UInt8(ascii: "n"): value.append(UInt8(ascii: "\n"))
                case UInt8(ascii: "\\"), UInt8(ascii: "\""): value.append(escaped)
                default:
                    report(.badEscape, String(decoding: [byte, escaped], as: UTF8.self))
                    value += [byte, escaped]
                }
            default: value.append(byte)
            }
        }
        return nil
    }
}
