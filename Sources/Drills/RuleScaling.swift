internal import Foundation

/// Divides every span of time in a Prometheus rule file by one number, so that a drill need not wait for real windows.
///
/// There is one set of rules, and a drill runs that set: everything but the spans stays as it is, byte for byte. The
/// same as `scripts/scale_rules.py`, with the same results.
public struct RuleScaling: Sendable {
    /// What every span of time is divided by.
    public let speedup: Double

    /// - Parameter speedup: More than zero.
    public init(speedup: Double) {
        precondition(speedup > 0, "a speedup is more than zero")
        self.speedup = speedup
    }

    /// A whole rule file with every span of time divided: `for`, `keep_firing_for`, `interval`, `query_offset`, range
    /// selectors, subqueries, offsets, and numbers that the comment `# seconds` follows.
    ///
    /// - Throws: For an expression in quotes, a duration that cannot be read, or one that would be less than 1 ms.
    public func scaled(_ rules: String) throws -> String {
        try Self.rewritten(rules, expression: scaledExpression, duration: scaledDuration)
    }

    /// The shortest range selector of a rule file in milliseconds; nil if it has none.
    public static func shortestRange(in rules: String) throws -> Int? {
        var shortest: Int?
        _ = try rewritten(
            rules,
            expression: { expression in
                for case .range(let text) in ExpressionScanner.parts(of: expression) {
                    guard let first = PrometheusDuration.allIn(text).first else { continue }
                    shortest = min(shortest ?? .max, first.milliseconds)
                }
                return expression
            },
            duration: { $0 }
        )
        return shortest
    }

    func scaledDuration(_ text: String) throws -> String {
        guard text != "0", let length = PrometheusDuration(text)?.milliseconds, length > 0 else { return "0s" }
        let scaled = Int((Double(length) / speedup).rounded(.toNearestOrEven))
        guard scaled >= 1 else { throw DrillError("\(text) divided by \(speedup) is less than a millisecond") }
        // Prometheus takes no fractions.
        return "\(scaled)ms"
    }

    func scaledExpression(_ expression: String) throws -> String {
        try ExpressionScanner.parts(of: expression)
            .map { part in
                switch part {
                case .other(let text): text
                case .range(let text), .offset(let text): try scaledDurations(in: text)
                case .seconds(let text): scaledNumber(text)
                }
            }
            .joined()
    }

    private func scaledDurations(in text: String) throws -> String {
        var result = text
        for duration in PrometheusDuration.allIn(text).reversed() {
            result.replaceSubrange(duration.range, with: try scaledDuration(String(text[duration.range])))
        }
        return result
    }

    private func scaledNumber(_ text: String) -> String {
        guard let number = Double(text) else { return text }
        // Not in scientific notation, which is legal PromQL but hard to read.
        var result = String(format: "%.6f", number / speedup)
        while result.hasSuffix("0") { result.removeLast() }
        if result.hasSuffix(".") { result.removeLast() }
        return result
    }

    // MARK: Lines

    private static let keys: Set<String> = ["for", "keep_firing_for", "interval", "query_offset"]

    /// The rule file with each expression and each duration replaced; all other lines stay.
    private static func rewritten(
        _ rules: String,
        expression: (String) throws -> String,
        duration: (String) throws -> String
    ) throws -> String {
        let lines = rules.split(separator: "\n", omittingEmptySubsequences: false)
        var result: [String] = []
        var index = 0
        while index < lines.count {
            let line = RuleLine(lines[index])
            index += 1
            if line.key == "expr" {
                guard !line.value.hasPrefix("'"), !line.value.hasPrefix("\"") else {
                    throw DrillError("line \(index): a quoted expression; write it as a block (expr: |)")
                }
                guard line.value.hasPrefix("|") || line.value.hasPrefix(">") else {
                    result.append(line.beginning + (try expression(line.value)))
                    continue
                }
                result.append(String(line.text))
                let start = index
                while index < lines.count, isInside(lines[index], line.indent) { index += 1 }
                if index > start { result.append(try expression(lines[start..<index].joined(separator: "\n"))) }
            } else if keys.contains(line.key) {
                result.append(line.beginning + (try replacedDuration(in: line.value, line: index, duration)))
            } else {
                result.append(String(line.text))
            }
        }
        return result.joined(separator: "\n")
    }

    private static func isInside(_ line: Substring, _ indent: Int) -> Bool {
        line.allSatisfy(\.isWhitespace) || line.prefix { $0 == " " }.count > indent
    }

    /// The value of a key such as `for`, quotes taken away and what follows it kept.
    private static func replacedDuration(
        in value: String,
        line: Int,
        _ duration: (String) throws -> String
    ) throws -> String {
        let comment = value.firstIndex(of: "#") ?? value.endIndex
        let words = value[..<comment]
        let bare = words.trimmingCharacters(in: .whitespaces.union(CharacterSet(charactersIn: "'\"")))
        guard bare == "0" || PrometheusDuration(bare) != nil else {
            throw DrillError("line \(line): not a duration: \(value)")
        }
        let trailing = words.reversed().prefix(while: \.isWhitespace).count
        return try duration(bare) + value[words.index(words.endIndex, offsetBy: -trailing)...]
    }
}

/// A line of a rule file, taken apart as far as scaling needs it.
private struct RuleLine {
    let text: Substring
    /// Where the key stands.
    let indent: Int
    /// Empty for a comment, or a line of another shape.
    let key: String
    /// Everything before the value.
    let beginning: String
    let value: String

    init(_ text: Substring) {
        self.text = text
        var rest = text.drop { $0 == " " }
        if rest.hasPrefix("- ") { rest = rest.dropFirst().drop { $0 == " " } }
        indent = text.distance(from: text.startIndex, to: rest.startIndex)
        let name = rest.prefix { $0.isLetter || $0 == "_" }
        let after = rest[name.endIndex...]
        key = after.hasPrefix(":") ? String(name) : ""
        value = after.hasPrefix(":") ? String(after.dropFirst().drop { $0 == " " }) : ""
        beginning = String(text.dropLast(value.count))
    }
}
