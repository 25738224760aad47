/// A length of time as Prometheus writes it, such as `1h30m`, and where it stands in a text.
struct PrometheusDuration {
    let milliseconds: Int
    let range: Range<String.Index>

    private static let units: [(name: String, milliseconds: Int)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000),
        ("y", 31_536_000_000),
    ]

    /// The whole text as a duration.
    init?(_ text: String) {
        guard let found = Self.at(text.startIndex, in: text), found.range.upperBound == text.endIndex else {
            return nil
        }
        self = found
    }

    private init(milliseconds: Int, range: Range<String.Index>) {
        self.milliseconds = milliseconds
        self.range = range
    }

    /// The duration that begins at `start`.
    static func at(_ start: String.Index, in text: String) -> PrometheusDuration? {
        var end = start
        var sum = 0
        while let (length, next) = piece(at: end, in: text) {
            sum += length
            end = next
        }
        return end > start ? PrometheusDuration(milliseconds: sum, range: start..<end) : nil
    }

    /// All durations in a text, in order.
    static func allIn(_ text: String) -> [PrometheusDuration] {
        var found: [PrometheusDuration] = []
        var index = text.startIndex
        while index < text.endIndex {
            if let duration = at(index, in: text) {
                found.append(duration)
                index = duration.range.upperBound
            } else {
                index = text.index(after: index)
            }
        }
        return found
    }

    /// A number and a unit.
    private static func piece(at start: String.Index, in text: String) -> (Int, String.Index)? {
        let digits = text[start...].prefix(while: \.isDigit)
        guard let number = Int(digits) else { return nil }
        for unit in units where text[digits.endIndex...].hasPrefix(unit.name) {
            return (number * unit.milliseconds, text.index(digits.endIndex, offsetBy: unit.name.count))
        }
        return nil
    }
}

extension Character {
    /// An ASCII digit.
    var isDigit: Bool { ("0"..."9").contains(self) }
}
