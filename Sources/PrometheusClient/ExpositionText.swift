/// The labels of one series, in the order they are printed.
struct LabelSet {
    private var pairs: [(name: String, value: String)]

    init(names: [String], values: [String]) {
        pairs = zip(names, values).map { (name: $0, value: $1) }
    }

    func appending(name: String, value: String) -> LabelSet {
        var copy = self
        copy.pairs.append((name: name, value: value))
        return copy
    }

    /// The beginning of a sample line up to and including the space before the value.
    func samplePrefix(name: String) -> [UInt8] {
        var line = Array(name.utf8)
        if !pairs.isEmpty {
            for (position, pair) in pairs.enumerated() {
                line.append(position == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
                line.append(contentsOf: pair.name.utf8)
                line.append(contentsOf: "=\"".utf8)
                line.appendEscaped(pair.value, escapingQuotes: true)
                line.append(UInt8(ascii: "\""))
            }
            line.append(UInt8(ascii: "}"))
        }
        line.append(UInt8(ascii: " "))
        return line
    }
}

extension [UInt8] {
    mutating func appendLineEnd() {
        append(UInt8(ascii: "\n"))
    }

    mutating func appendEscaped(_ text: String, escapingQuotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\n"): append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\"") where escapingQuotes: append(contentsOf: #"\""#.utf8)
            default: append(byte)
            }
        }
    }

    mutating func appendDecimal(_ value: UInt64) {
        // As long as the largest number.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var start = digits.count
        var rest = value
        repeat {
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        append(addingCapacity: digits.count - start) { end in
            for position in start..<digits.count { end.append(digits[position]) }
        }
    }

    /// Appends the shortest text that reads back as the same `Double`; whole numbers have no fraction.
    mutating func appendNumber(_ value: Double) {
        // Most gauges are small whole numbers, and printing those as integers is much faster.
        if value >= 0, value < 1e15, value.sign == .plus {
            let whole = UInt64(value)
            if Double(whole) == value {
                appendDecimal(whole)
                return
            }
        }
        switch value {
        case .infinity: append(contentsOf: "+Inf".utf8)
        case -.infinity: append(contentsOf: "-Inf".utf8)
        case _ where value.isNaN: append(contentsOf: "NaN".utf8)
        default:
            append(contentsOf: value.description.utf8)
            if suffix(2).elementsEqual(".0".utf8) { removeLast(2) }
        }
    }
}

extension Duration {
    /// The length in seconds, rounded so that a bucket bound such as 0.25 s compares equal to itself.
    var inSeconds: Double {
        // Up to 18 s the attoseconds fit in 64 bits; that is much faster than dividing 128 bits, and whole
        // microseconds are exact before the division.
        if let attoseconds = UInt64(exactly: attoseconds) { return Double(attoseconds) / 1e18 }
        let (seconds, rest) = components
        return Double(seconds) + Double(rest) / 1e18
    }
}

extension String {
    /// Orders by bytes, as tools that sort an exposition do; `<` on `String` orders by Unicode rules.
    func precedesInBytes(_ other: String) -> Bool {
        utf8.lexicographicallyPrecedes(other.utf8)
    }
}
