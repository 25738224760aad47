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

/// One byte, and listed in another order than declared.
enum Backwards: Int, MetricLabel {
    case first, second, third
    static var allCases: [Backwards] { [.third, .second, .first] }
    static var labelName: String { "backwards" }
    var labelValue: String { "\(self)" }
}

/// Values beside a case, still in one byte.
enum Nested: MetricLabel {
    case ok
    case failed(Operation)
    static var allCases: [Nested] { [.ok] + Operation.allCases.map { .failed($0) } }
    static var labelName: String { "nested" }
    var labelValue: String { "\(self)" }
}

/// More than a byte.
enum Wide: MetricLabel {
    case of(Operation, Outcome)
    static var allCases: [Wide] { Operation.allCases.flatMap { one in Outcome.allCases.map { .of(one, $0) } } }
    static var labelName: String { "wide" }
    var labelValue: String { "\(self)" }
}

/// No byte at all.
enum Sole: String, MetricLabel {
    case only
    static var labelName: String { "sole" }
}

/// A byte of which only a part tells values apart.
struct Careless: MetricLabel {
    var byte: UInt8
    static var allCases: [Careless] { [Careless(byte: 0), Careless(byte: 16)] }
    static var labelName: String { "careless" }
    var labelValue: String { "\(byte / 16)" }
    static func == (left: Careless, right: Careless) -> Bool { left.byte / 16 == right.byte / 16 }
    func hash(into hasher: inout Hasher) { hasher.combine(byte / 16) }
}

extension MetricRegistry {
    func text(_ format: ExpositionFormat) throws -> String {
        String(decoding: try render(format), as: UTF8.self)
    }
}
