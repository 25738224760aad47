/// One documented setting: its three names, what it accepts, its default and its meaning.
///
/// The names follow from ``name`` by rule: `limits.perUser` is `SANDBOX_MANAGER_LIMITS_PER_USER` in the environment and
/// `--limits-per-user` as a flag. The variables of E2B and Redis go without the prefix, as users know them.
public struct ConfigurationKey: Sendable, Hashable {
    /// The prefix of the daemon's own environment variables.
    public static let environmentPrefix = "SANDBOX_MANAGER_"

    /// The name in the file, in reports and in the documentation; parts are joined by dots.
    public let name: String
    /// The name of the environment variable.
    public let environmentName: String
    /// The name of the flag, with its dashes.
    public let flagName: String
    /// What kind of value it takes, for example `integer`.
    public let typeName: String
    /// Which values are accepted, in words; empty if any text is.
    public let allowedValues: String
    /// The unit of the value, for example `seconds`; `nil` if it has none.
    public let unit: String?
    /// The default as it would be written in the file, or `nil` if there is none or it depends on other settings.
    public let defaultText: String?
    /// The default in words: the default itself, `none`, or what it depends on.
    public let defaultDescription: String
    /// What the setting does, in one or two sentences.
    public let help: String
    /// Whether the value must never be shown.
    public let isSecret: Bool
    /// Whether the flag alone, without a value, means `true`.
    public let isSwitch: Bool
    /// Whether the key may stand in the file; the file's own path and the drill switch may not.
    public let isAllowedInFile: Bool
}

extension ConfigurationKey {
    /// The parts of the name.
    var components: [String] { name.split(separator: ".").map(String.init) }

    /// Whether the environment variable carries the daemon's prefix.
    var hasEnvironmentPrefix: Bool { environmentName.hasPrefix(Self.environmentPrefix) }

    /// The variables that E2B and Redis users know without our prefix.
    private static let namesWithoutPrefix: Set<String> = [
        "e2b.apiKey", "e2b.domain", "e2b.apiURL", "e2b.sandboxURL", "redis.url",
    ]

    static func environmentName(of name: String) -> String {
        let words = words(of: name).map { $0.uppercased() }.joined(separator: "_")
        return namesWithoutPrefix.contains(name) ? words : environmentPrefix + words
    }

    static func flagName(of name: String) -> String {
        "--" + words(of: name).map { $0.lowercased() }.joined(separator: "-")
    }

    /// Splits at dots and where a capital follows a small letter: the rule of swift-configuration's own encoders.
    private static func words(of name: String) -> [String] {
        var words: [String] = []
        var word = ""
        for character in name {
            if character == "." {
                words.append(word)
                word = ""
            } else if character.isUppercase, word.last?.isLowercase == true {
                words.append(word)
                word = String(character)
            } else {
                word.append(character)
            }
        }
        words.append(word)
        return words
    }
}
