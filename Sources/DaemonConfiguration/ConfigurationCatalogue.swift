/// All settings of the daemon, for help, documentation and checks.
public enum ConfigurationCatalogue {
    /// Every key, in the order of the documentation.
    public static let keys: [ConfigurationKey] = Mirror(reflecting: SettingTable.standard).children
        .compactMap { ($0.value as? any AnySetting)?.key }

    /// The key of a name as in the file, such as `limits.perUser`.
    public static func key(named name: String) -> ConfigurationKey? { keysByName[name] }

    static let keysByName = Dictionary(uniqueKeysWithValues: keys.map { ($0.name, $0) })
    static let keysByFlag = Dictionary(uniqueKeysWithValues: keys.map { ($0.flagName, $0) })
    static let keysByVariable = Dictionary(uniqueKeysWithValues: keys.map { ($0.environmentName, $0) })

    /// The table of the documentation: one row for each key, in GitHub's Markdown, ending in a newline.
    public static func markdownTable() -> String {
        let head = ["Key", "Environment", "Flag", "Default", "Values", "Meaning"]
        let rows = keys.map { key in
            [
                key.isAllowedInFile ? "`\(key.name)`" : "",
                "`\(key.environmentName)`",
                "`\(key.flagName)`",
                key.defaultText.map { "`\($0)`" } ?? key.defaultDescription,
                valuesPhrase(of: key),
                key.help,
            ]
        }
        return ([head, head.map { _ in "---" }] + rows)
            .map { "| " + $0.map(markdownCell).joined(separator: " | ") + " |\n" }
            .joined()
    }

    /// The settings part of `--help`: every flag with its values and default, in lines of at most `columns` characters.
    public static func helpText(columns: Int = 78) -> String {
        let head = wrapped(
            "Flags win over environment variables, these over the YAML file of --config, and that over the defaults. "
                + "A flag --limits-per-user is SANDBOX_MANAGER_LIMITS_PER_USER in the environment and limits.perUser "
                + "in the file. Names without the prefix: E2B_API_KEY, E2B_DOMAIN, E2B_API_URL, E2B_SANDBOX_URL, "
                + "REDIS_URL. Secrets given as flags can be seen by every user of the machine.",
            indent: 0,
            columns: columns
        )
        let entries = keys.map { key in
            let value = key.isSwitch ? "" : " <\(key.typeName == "one of" ? "name" : key.typeName)>"
            let values = valuesPhrase(of: key)
            let details = "\(key.help) (\(values.isEmpty ? "" : values + "; ")default: \(key.defaultDescription))"
            return "  \(key.flagName)\(value)\n" + wrapped(details, indent: 6, columns: columns)
        }
        return head + "\nSETTINGS:\n" + entries.joined()
    }

    private static func valuesPhrase(of key: ConfigurationKey) -> String {
        let unit = key.unit.map { "\($0), " } ?? ""
        return key.allowedValues.isEmpty ? (key.unit ?? key.typeName) : unit + key.allowedValues
    }

    /// A cell must not end early, start an HTML tag or break the line.
    private static func markdownCell(_ text: String) -> String {
        let isCode = text.hasPrefix("`")
        return text.map { character in
            switch character {
            case "|": "\\|"
            case "<" where !isCode: "&lt;"
            case "\n": " "
            default: String(character)
            }
        }.joined()
    }

    private static func wrapped(_ text: String, indent: Int, columns: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var result = ""
        var line = ""
        for word in text.split(separator: " ") {
            if line.isEmpty {
                line = margin + word
            } else if line.count + 1 + word.count <= columns {
                line += " " + word
            } else {
                result += line + "\n"
                line = margin + word
            }
        }
        return result + line + "\n"
    }
}
