/// Checks a page of metrics strictly: everything the formats demand, and the house rules that a page is sorted,
/// complete and without timestamps.
///
/// The common validators accept duplicate series, buckets that are not cumulative, `+Inf` buckets that differ from
/// the count and negative counters; this one does not. It knows counters, gauges and histograms only.
public struct ExpositionChecker {
    /// The format that a page should be in.
    public enum Format: Hashable, Sendable, CaseIterable {
        /// The Prometheus text format, version 0.0.4.
        case text
        /// OpenMetrics text, version 1.0.0.
        case openMetrics
    }

    private let format: Format
    private var problems: [ExpositionProblem] = []
    private var current: CheckedFamily?
    private var closedFamilies: [CheckedFamily] = []
    private var seenSeries: Set<[[UInt8]]> = []
    private var endOfFileLine: Int?

    /// Checks a page.
    ///
    /// - Parameters:
    ///   - page: The body as it was sent.
    ///   - format: The format it claims to be in.
    /// - Returns: Everything found, by line; empty if the page is right.
    public static func problems(in page: some Collection<UInt8>, format: Format) -> [ExpositionProblem] {
        var checker = ExpositionChecker(format: format)
        checker.check(Array(page))
        return checker.problems.sorted { $0.line < $1.line }
    }

    /// Checks a page; see ``problems(in:format:)``.
    public static func problems(in page: String, format: Format) -> [ExpositionProblem] {
        problems(in: page.utf8, format: format)
    }

    private init(format: Format) {
        self.format = format
    }

    private mutating func report(_ kind: ExpositionProblem.Kind, line: Int, _ detail: String) {
        problems.append(ExpositionProblem(line: line, kind: kind, detail: detail))
    }

    private mutating func check(_ page: [UInt8]) {
        var lines = page.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if let last = lines.last, last.isEmpty, !page.isEmpty {
            lines.removeLast()
        } else {
            report(.missingFinalNewline, line: lines.count, "the last line has no end")
        }
        for (index, line) in lines.enumerated() {
            check(line, number: index + 1)
        }
        closeFamily()
        if format == .openMetrics, endOfFileLine == nil {
            report(.missingEndOfFile, line: lines.count, "# EOF")
        }
    }

    private mutating func check(_ line: ArraySlice<UInt8>, number: Int) {
        var line = line
        if line.last == UInt8(ascii: "\r") {
            report(.carriageReturn, line: number, "at the end of the line")
            line.removeLast()
        }
        if String(validating: line, as: UTF8.self) == nil { report(.notUTF8, line: number, "") }
        if endOfFileLine != nil { report(.unexpectedEndOfFile, line: number, "text after # EOF") }
        switch ExpositionLine(line) {
        case .blank: report(.blankLine, line: number, "")
        case .comment: report(.unexpectedComment, line: number, String(decoding: line, as: UTF8.self))
        case .endOfFile:
            if format == .text { report(.unexpectedEndOfFile, line: number, "not in this format") }
            if format == .openMetrics { endOfFileLine = number }
        case .help(let name, let text):
            openFamily(name, line: number)
            checkHelp(text, line: number)
            if current?.hasHelp == true { report(.duplicateHelp, line: number, name) }
            if current?.samples.isEmpty == false { report(.misplacedHeader, line: number, "HELP \(name)") }
            current?.hasHelp = true
        case .type(let name, let type):
            openFamily(name, line: number)
            if current?.type != nil { report(.duplicateType, line: number, name) }
            if current?.samples.isEmpty == false { report(.misplacedHeader, line: number, "TYPE \(name)") }
            if !["counter", "gauge", "histogram"].contains(type) { report(.unknownType, line: number, type) }
            current?.type = type
        case .sample(let sample):
            for problem in sample.problems { report(problem.kind, line: number, problem.detail) }
            add(sample, line: number)
        }
    }

    private mutating func checkHelp(_ text: String, line: Int) {
        if text.isEmpty { report(.missingHelp, line: line, "the text is empty") }
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            if byte == UInt8(ascii: "\\") {
                switch bytes.next() {
                case UInt8(ascii: "n"), UInt8(ascii: "\\"): continue
                case UInt8(ascii: "\"") where format == .openMetrics: continue
                default: report(.badEscape, line: line, text)
                }
            } else if byte == UInt8(ascii: "\""), format == .openMetrics {
                report(.badEscape, line: line, text)
            }
        }
    }

    private mutating func openFamily(_ name: String, line: Int) {
        if current?.name == name { return }
        closeFamily()
        if !ExpositionLine.isName(name, allowingColon: true) { report(.badMetricName, line: line, name) }
        if let earlier = closedFamilies.first(where: { $0.name == name }) {
            report(.interleavedFamily, line: line, "\(name) began in line \(earlier.firstLine)")
            if earlier.hasHelp { report(.duplicateHelp, line: line, name) }
            if earlier.type != nil { report(.duplicateType, line: line, name) }
        } else if let last = closedFamilies.last, name.utf8.lexicographicallyPrecedes(last.name.utf8) {
            report(.unsortedFamilies, line: line, "\(name) after \(last.name)")
        }
        current = CheckedFamily(name: name, firstLine: line)
    }

    private mutating func add(_ sample: ExpositionLine.ParsedSample, line: Int) {
        let labels = sample.labels.sorted { $0.name < $1.name }.flatMap { [Array($0.name.utf8), Array($0.value.utf8)] }
        if !seenSeries.insert([Array(sample.name.utf8)] + labels).inserted {
            report(.duplicateSeries, line: line, sample.name)
        }
        if current?.accepts(sample.name, format: format) != true {
            if let current, sample.name == current.name + "_created" {
                report(.createdSample, line: line, sample.name)
                return
            }
            if let earlier = closedFamilies.first(where: { $0.accepts(sample.name, format: format) }) {
                report(.interleavedFamily, line: line, "\(sample.name) belongs to line \(earlier.firstLine)")
                return
            }
            if format == .openMetrics, let current, current.type == "counter", sample.name == current.name {
                report(.counterName, line: line, "\(sample.name) without _total")
                return
            }
            openFamily(sample.name, line: line)
        }
        current?.samples.append(CheckedFamily.Line(number: line, sample: sample))
    }

    private mutating func closeFamily() {
        guard let family = current else { return }
        problems += family.problems(format: format)
        closedFamilies.append(family)
        current = nil
    }
}
