/// A password that no description, dump or mirror shows.
public struct RedisPassword: Sendable, Hashable {
    /// The password as it is; for the AUTH command alone.
    let text: String

    /// Wraps a password; an empty one is a password too.
    public init(_ text: String) {
        self.text = text
    }
}

extension RedisPassword: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Always `<redacted>`.
    public var description: String { "<redacted>" }

    /// Always `<redacted>`.
    public var debugDescription: String { description }

    /// A mirror without children, so that `dump` shows nothing either.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
