/// A decimal number as written by a person: digits, at most one point, an optional minus; no exponent, no `inf`.
///
/// Read without a detour over binary floating point, so that `0.1` seconds is exactly 100 ms.
struct DecimalText {
    /// The number in units of 10⁻¹⁸.
    private let isNegative: Bool
    private let whole: Int64
    private let attoFraction: Int64

    /// Returns `nil` unless the whole text is such a number of at most 15 digits before and 18 after the point.
    init?(_ text: String) {
        var rest = text[...]
        isNegative = rest.first == "-"
        if isNegative { rest = rest.dropFirst() }
        let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let head = parts.first, Self.areDigits(head, atMost: 15), let whole = Int64(head) else { return nil }
        self.whole = whole
        guard parts.count == 2 else {
            attoFraction = 0
            return
        }
        let tail = parts[1]
        guard Self.areDigits(tail, atMost: 18),
            let fraction = Int64(tail + String(repeating: "0", count: 18 - tail.utf8.count))
        else { return nil }
        attoFraction = fraction
    }

    /// The number as seconds.
    var duration: Duration {
        let magnitude = Duration(secondsComponent: whole, attosecondsComponent: attoFraction)
        return isNegative ? .zero - magnitude : magnitude
    }

    private static func areDigits(_ text: Substring, atMost limit: Int) -> Bool {
        (1...limit).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
