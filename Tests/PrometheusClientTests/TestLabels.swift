import PrometheusClient

enum Operation: String, MetricLabel {
    case release, acquire, other
    static var labelName: String { "operation" }
}

enum Outcome: String, MetricLabel {
    case ok
    case timedOut = "timed_out"
    static var labelName: String { "result" }
}

/// Values that break naive escaping, and ones that only look equal to `==` on `String`.
enum EvilLabel: String, MetricLabel {
    case backslash = #"back\slash"#
    case escapedN = #"\n"#
    case quote = #"say "hi""#
    case newline = "two\nlines"
    case carriageReturn = "a\r\nb"
    case braces = #"a="b",c="d"} 1"#
    case hash = "# EOF"
    case space = " "
    case unicode = "größe 東京 🦆"
    case composed = "e\u{301}"
    case precomposed = "\u{e9}"
    case trailingBackslash = #"c:\"#
    static var labelName: String { "text" }
}

/// Leaves a case out of `allCases`, which the compiler does not prevent in a hand-written list.
enum Incomplete: MetricLabel {
    case listed, forgotten
    static var allCases: [Incomplete] { [.listed] }
    static var labelName: String { "incomplete" }
    var labelValue: String { "\(self)" }
}

extension MetricRegistry {
    func text(_ format: ExpositionFormat) throws -> String {
        String(decoding: try render(format), as: UTF8.self)
    }
}
