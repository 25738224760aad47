/// The provider's name for a sandbox.
public struct SandboxID: Hashable, Sendable, CustomStringConvertible {
    /// The id as the provider spells it.
    public let rawValue: String

    /// Wraps an id that a provider gave.
    public init(_ rawValue: String) { self.rawValue = rawValue }

    /// The id itself.
    public var description: String { rawValue }
}

/// The fencing number of a lease: it grows with every new lease of a key, and a write that names an older one is
/// refused.
///
/// A store hands out `max(last + 1, its own time in microseconds)`, so epochs grow across a lost store too.
public struct Epoch: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64

    /// Wraps a number that a store handed out.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// Orders by age: the later lease has the greater epoch.
    public static func < (left: Epoch, right: Epoch) -> Bool { left.rawValue < right.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// The name of one creation: written to the sandbox's metadata before anybody knows its id, and the name of its slot.
///
/// 32 lower-case hex digits, so that it passes every metadata filter unescaped.
public struct CreationToken: Hashable, Sendable, CustomStringConvertible {
    /// Every lease has one, in several tables: its bits need less than half the room of its text.
    private enum Form: Hashable {
        case bits(UInt64, UInt64)
        /// Nothing that ``init(from:)`` draws; only ever read back, or a test's.
        case text(String)
    }

    private let form: Form

    /// The token's text.
    public var rawValue: String {
        switch form {
        case .bits(let upper, let lower): hexDigits(upper) + hexDigits(lower)
        case .text(let text): text
        }
    }

    /// Wraps a token read back from a provider or store.
    public init(_ rawValue: String) {
        let digits = rawValue.utf8
        guard digits.count == 32, digits.allSatisfy(isLowerHexDigit),
            let upper = UInt64(rawValue.prefix(16), radix: 16), let lower = UInt64(rawValue.suffix(16), radix: 16)
        else {
            form = .text(rawValue)
            return
        }
        form = .bits(upper, lower)
    }

    /// Draws 128 random bits.
    public init(from random: any RandomSource) {
        form = .bits(random.next(), random.next())
    }

    /// The token itself; it is no secret.
    public var description: String { rawValue }
}

private func isLowerHexDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
    default: false
    }
}

/// Sixteen lower-case hex digits.
func hexDigits(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

/// A value that must never reach a log line, an error, a metric or a page (I13).
///
/// Every textual form is `<redacted>`; only ``reveal()`` gives the text, so that its uses can be found by name.
public struct Secret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    /// Wraps a secret text.
    public init(_ text: String) { self.text = text }

    /// The text itself, for the one place that must send it.
    public func reveal() -> String { text }

    /// Always `<redacted>`.
    public var description: String { "<redacted>" }
    /// Always `<redacted>`.
    public var debugDescription: String { "<redacted>" }
    /// No children: `dump` and string interpolation of an enclosing value show nothing either.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
