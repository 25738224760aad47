internal import Configuration

/// The flags of the command line.
///
/// Read here and handed to swift-configuration as plain texts: its own reader of arguments cuts every value at its
/// commas, takes a following word for a second value, and passes over flags it does not know.
struct CommandLineFlags {
    /// The value of each known flag, by key.
    private(set) var values: [String: String] = [:]
    /// Unknown flags, flags without a value or given twice, and words that belong to no flag.
    ///
    /// Only names are repeated in them: the value of a misspelt flag may be a secret.
    private(set) var faults: [ConfigurationFault] = []

    /// Reads arguments, the program's and subcommands' names removed.
    init(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-" else {
                add(position: rest.startIndex, problem: "is not a flag")
                continue
            }
            let name = String(argument.prefix { $0 != "=" })
            let attached = argument.count > name.count ? String(argument.dropFirst(name.count + 1)) : nil
            guard let key = ConfigurationCatalogue.keysByFlag[name] else {
                addUnknown(name)
                // What follows is most likely the value of the misspelt flag.
                if attached == nil, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
                continue
            }
            if let value = attached ?? (key.isSwitch ? "true" : Self.value(from: &rest)) {
                add(value, for: key)
            } else {
                add(key: key.name, flag: name, problem: "has no value; write \(name)=<\(key.typeName)>")
            }
        }
    }

    /// The flags as the first layer of the configuration.
    var layer: ConfigurationLayer {
        var content: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, value) in values {
            guard let key = ConfigurationCatalogue.key(named: name) else { continue }
            content[AbsoluteConfigKey(key.components)] = ConfigValue(.string(value), isSecret: true)
        }
        return ConfigurationLayer(
            snapshot: InMemoryProvider(name: "flags", values: content).snapshot(),
            source: { .flag($0.flagName) }
        )
    }

    /// The next word, unless it is a flag; one dash may start a negative number, which is refused with better words.
    private static func value(from rest: inout ArraySlice<String>) -> String? {
        guard let next = rest.first, !next.hasPrefix("--") else { return nil }
        return rest.removeFirst()
    }

    private mutating func add(_ value: String, for key: ConfigurationKey) {
        guard values.updateValue(value, forKey: key.name) == nil else {
            add(key: key.name, flag: key.flagName, problem: "is given twice")
            return
        }
    }

    private mutating func addUnknown(_ name: String) {
        let names = ConfigurationCatalogue.keys.map(\.flagName) + ["--help", "--version"]
        let hint = Suggestion.phrase(for: name, among: names)
        add(key: name, flag: name, problem: "is not a known flag\(hint)")
    }

    private mutating func add(key: String, flag: String, problem: String) {
        faults.append(ConfigurationFault(key: key, source: .flag(flag), problem: problem))
    }

    private mutating func add(position: Int, problem: String) {
        faults.append(ConfigurationFault(key: "argument \(position)", source: .commandLine, problem: problem))
    }
}
