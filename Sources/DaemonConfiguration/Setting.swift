/// A row of the setting table without its type.
protocol AnySetting: Sendable {
    var key: ConfigurationKey { get }
}

/// A row of the setting table: a documented key and how its value is read.
struct Setting<Value: Sendable>: AnySetting {
    let key: ConfigurationKey
    let kind: ValueKind<Value>

    /// A setting with a fixed default, without one, or with one that is described in words and computed elsewhere.
    init(
        _ name: String,
        _ kind: ValueKind<Value>,
        default defaultText: String? = nil,
        computed: String? = nil,
        inFile: Bool = true,
        _ help: String
    ) {
        self.kind = kind
        key = ConfigurationKey(
            name: name,
            environmentName: ConfigurationKey.environmentName(of: name),
            flagName: ConfigurationKey.flagName(of: name),
            typeName: kind.typeName,
            allowedValues: kind.allowed,
            unit: kind.unit,
            defaultText: defaultText,
            defaultDescription: computed ?? defaultText ?? "none",
            help: help,
            isSecret: kind.isSecret,
            isSwitch: kind.isSwitch,
            isAllowedInFile: inFile
        )
    }
}
