/// Why a text is not a value of its kind; never contains the text, which may be a secret.
struct InvalidValue: Error {
    var problem: String

    init(_ problem: String) { self.problem = problem }
}

/// How one kind of value is described, read and shown.
struct ValueKind<Value: Sendable>: Sendable {
    var typeName: String
    var allowed = ""
    var unit: String?
    var isSecret = false
    var isSwitch = false
    /// Whether the file may give a sequence; its items are joined by commas.
    var isList = false
    var parse: @Sendable (String) throws(InvalidValue) -> Value
    /// The text as a report may show it.
    var display: @Sendable (String) -> String = { $0 }
}

extension ValueKind where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        let allowed = "\(range.lowerBound) to \(range.upperBound)"
        return ValueKind(
            typeName: "integer",
            allowed: allowed,
            parse: { text throws(InvalidValue) in
                guard let value = Int(text) else { throw InvalidValue("is not a whole number") }
                guard range.contains(value) else { throw InvalidValue("is out of range: \(allowed)") }
                return value
            }
        )
    }
}

extension ValueKind where Value == Double {
    /// A decimal number.
    static func number(above lowerBound: Double, through upperBound: Double) -> Self {
        let allowed = "above \(plain(lowerBound)), up to \(plain(upperBound))"
        return ValueKind(
            typeName: "number",
            allowed: allowed,
            parse: { text throws(InvalidValue) in
                guard DecimalText(text) != nil, let value = Double(text) else {
                    throw InvalidValue("is not a decimal number")
                }
                guard value > lowerBound, value <= upperBound else {
                    throw InvalidValue("is out of range: \(allowed)")
                }
                return value
            }
        )
    }

    private static func plain(_ value: Double) -> String {
        Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}

extension ValueKind where Value == Duration {
    /// Seconds with decimals; `minimum` is included, and zero stands for "any positive time" unless `zeroAllowed`.
    static func seconds(from minimum: Duration = .zero, zeroAllowed: Bool = false) -> Self {
        // A year: far above every sensible value, far below the overflow of Duration arithmetic.
        let maximum = Duration.seconds(31_536_000)
        let positive = zeroAllowed ? "0 or more" : "above 0"
        let allowed = minimum == .zero ? positive : "\(minimum.components.seconds) or more"
        return ValueKind(
            typeName: "number",
            allowed: allowed,
            unit: "seconds",
            parse: { text throws(InvalidValue) in
                guard let value = DecimalText(text)?.duration else {
                    throw InvalidValue("is not a number of seconds, such as 5 or 0.25")
                }
                guard value >= minimum, value <= maximum, zeroAllowed || value > .zero else {
                    throw InvalidValue("is out of range: \(allowed), at most \(maximum.components.seconds)")
                }
                return value
            }
        )
    }
}

extension ValueKind where Value == Bool {
    static var onOff: Self {
        ValueKind(
            typeName: "boolean",
            allowed: "true, false",
            isSwitch: true,
            parse: { text throws(InvalidValue) in
                switch text.lowercased() {
                case "true", "yes", "1": return true
                case "false", "no", "0": return false
                default: throw InvalidValue("is not true or false")
                }
            }
        )
    }
}

extension ValueKind where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the raw values of a closed set.
    static func choice() -> Self {
        ValueKind(
            typeName: "one of",
            allowed: names,
            parse: { text throws(InvalidValue) in
                guard let value = Value(rawValue: text) else { throw unknown(text) }
                return value
            }
        )
    }

    private static var names: String { Value.allCases.map(\.rawValue).joined(separator: ", ") }

    private static func unknown(_ text: String) -> InvalidValue {
        let hint = Suggestion.phrase(for: text, among: Value.allCases.map(\.rawValue))
        return InvalidValue("is not one of: \(names)\(hint)")
    }

    /// Several raw values, separated by commas.
    static func choices() -> ValueKind<[Value]> {
        ValueKind<[Value]>(
            typeName: "list",
            allowed: "comma list of: \(names)",
            isList: true,
            parse: { text throws(InvalidValue) in
                var values: [Value] = []
                for item in commaList(text) {
                    guard let value = Value(rawValue: item) else { throw unknown(item) }
                    values.append(value)
                }
                return values
            }
        )
    }
}

/// The items of a comma list, trimmed; an empty item stays, so that it is reported.
func commaList(_ text: String) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
}

/// The text without blanks and line ends around it: values read from mounted files often end in a newline.
func trimmed(_ text: some StringProtocol) -> String {
    let isBlank: (Character) -> Bool = { $0.isWhitespace || $0.isNewline }
    let head = text.drop(while: isBlank)
    guard let last = head.lastIndex(where: { !isBlank($0) }) else { return "" }
    return String(head[...last])
}
