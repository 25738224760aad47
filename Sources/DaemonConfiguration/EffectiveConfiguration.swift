/// The value of every key and where it came from, fit to be printed: secrets are masked, URLs have no user-info.
public struct EffectiveConfiguration: Sendable, Hashable {
    /// One key and its value.
    public struct Entry: Sendable, Hashable {
        /// The key's name.
        public let key: String
        /// The value as text, masked if it is secret; `none` if there is none.
        public let value: String
        /// Who set it.
        public let source: ConfigurationSource
        /// Whether the value was refused.
        public let isFaulty: Bool
    }

    /// One entry for each key, in the order of the catalogue.
    public internal(set) var entries: [Entry] = []

    /// The value of a key as text, or `nil` if there is no such key.
    public func value(of key: String) -> String? { entries.first { $0.key == key }?.value }

    /// Who set a key, or `nil` if there is no such key.
    public func source(of key: String) -> ConfigurationSource? { entries.first { $0.key == key }?.source }
}

/// Prints the effective configuration: one `key = value  (source)` a line, ending in a newline.
///
/// A value that was refused is marked as such.
public func render(effective: EffectiveConfiguration) -> String {
    effective.entries
        .map { "\($0.key) = \($0.value)  (\($0.source)\($0.isFaulty ? ", refused" : ""))\n" }
        .joined()
}
