/// Reads settings from the layers, the first that has a key winning, and collects every fault on the way.
///
/// Only the value that wins is checked: a bad value in the file can be overridden in an emergency.
struct SettingReader {
    private var layers: [ConfigurationLayer]
    private(set) var faults: [ConfigurationFault]
    private(set) var warnings: [String] = []
    private(set) var effective = EffectiveConfiguration()
    private var faultyKeys: Set<String> = []

    init(layers: [ConfigurationLayer], faults: [ConfigurationFault]) {
        self.layers = layers
        self.faults = faults
    }

    /// Adds the file below the other layers, and its faults.
    mutating func add(file: ConfigurationFile) {
        if let layer = file.layer { layers.append(layer) }
        faults += file.faults
    }

    /// The value that somebody set, else the fixed default, else `nil`.
    mutating func optional<Value>(_ setting: Setting<Value>) -> Value? {
        do throws(Refusal) {
            guard let found = try text(of: setting) else { return fallback(of: setting) }
            guard !found.text.isEmpty else {
                record(setting.key, value: "none", source: found.source)
                return nil
            }
            return try parse(found.text, from: found.source, as: setting)
        } catch {
            fail(error, as: setting)
            return setting.key.defaultText.flatMap { try? setting.kind.parse($0) }
        }
    }

    /// The value of a setting that has a fixed default.
    mutating func value<Value>(_ setting: Setting<Value>) -> Value {
        guard let value = optional(setting) else {
            preconditionFailure("\(setting.key.name) has no valid default")
        }
        return value
    }

    /// The value of a setting whose default is computed.
    mutating func value<Value>(_ setting: Setting<Value>, default computed: @autoclosure () -> Value) -> Value {
        if let value = optional(setting) { return value }
        let value = computed()
        if !faultyKeys.contains(setting.key.name) { effective.setDefault("\(value)", of: setting.key.name) }
        return value
    }

    /// Reports a combination that cannot be, unless one of the values is bad by itself.
    mutating func refuse(_ keys: [ConfigurationKey], if isWrong: Bool, _ problem: @autoclosure () -> String) {
        guard isWrong, let key = keys.first, faultyKeys.isDisjoint(with: keys.map(\.name)) else { return }
        let source = effective.source(of: key.name) ?? .builtIn
        faults.append(ConfigurationFault(key: key.name, source: source, problem: problem()))
    }

    /// A key with its value and source, for a fault that is about two keys.
    func phrase(for key: ConfigurationKey) -> String {
        guard let entry = effective.entries.first(where: { $0.key == key.name }) else { return key.name }
        return "\(key.name), which is \(entry.value) (\(entry.source))"
    }

    /// Notes a combination that is accepted but hardly meant.
    mutating func warn(_ keys: [ConfigurationKey], if isOdd: Bool, _ warning: @autoclosure () -> String) {
        guard isOdd, faultyKeys.isDisjoint(with: keys.map(\.name)) else { return }
        warnings.append(warning())
    }
}

extension SettingReader {
    private struct Refusal: Error {
        var text: String?
        var source: ConfigurationSource
        var problem: String
    }

    private func text<Value>(
        of setting: Setting<Value>
    ) throws(Refusal) -> (text: String, source: ConfigurationSource)? {
        let key = setting.key
        for layer in layers {
            let source = layer.source(key)
            // A file cannot hold these, and says so by itself.
            if case .file = source, !key.isAllowedInFile { continue }
            do throws(InvalidValue) {
                guard let raw = try layer.text(of: key, isList: setting.kind.isList) else { continue }
                var text = trimmed(raw)
                // YAML's words for nothing arrive as texts; a token that is the word "null" is nobody's intention.
                if case .file = source, ["~", "null", "Null", "NULL"].contains(text) { text = "" }
                if text.isEmpty, key.defaultText != nil {
                    throw InvalidValue("is empty; leave it out for the default, \(key.defaultDescription)")
                }
                return (text, source)
            } catch {
                throw Refusal(text: nil, source: source, problem: error.problem)
            }
        }
        return nil
    }

    private mutating func parse<Value>(
        _ text: String,
        from source: ConfigurationSource,
        as setting: Setting<Value>
    ) throws(Refusal) -> Value {
        do throws(InvalidValue) {
            let value = try setting.kind.parse(text)
            record(setting.key, value: printable(setting.kind.display(text), limit: 256), source: source)
            return value
        } catch {
            throw Refusal(text: text, source: source, problem: error.problem)
        }
    }

    private mutating func fallback<Value>(of setting: Setting<Value>) -> Value? {
        let key = setting.key
        record(key, value: key.defaultText ?? key.defaultDescription, source: .builtIn)
        return key.defaultText.flatMap { try? setting.kind.parse($0) }
    }

    private mutating func fail<Value>(_ refusal: Refusal, as setting: Setting<Value>) {
        let key = setting.key
        let shown = refusal.text.map { printable(setting.kind.display($0)) }
        let subject = key.isSecret ? "the value" : shown.map { "\"\($0)\"" } ?? "the value"
        let problem = "\(subject) \(refusal.problem)"
        faults.append(ConfigurationFault(key: key.name, source: refusal.source, problem: problem))
        faultyKeys.insert(key.name)
        record(key, value: shown ?? "?", source: refusal.source, isFaulty: true)
    }

    private mutating func record(
        _ key: ConfigurationKey,
        value: String,
        source: ConfigurationSource,
        isFaulty: Bool = false
    ) {
        effective.entries.append(.init(key: key.name, value: value, source: source, isFaulty: isFaulty))
    }
}

extension EffectiveConfiguration {
    /// Replaces the words of a computed default by what was computed.
    mutating func setDefault(_ value: String, of key: String) {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return }
        entries[index] = Entry(key: key, value: value, source: .builtIn, isFaulty: false)
    }

    /// The entries in the order of the catalogue.
    func sorted() -> EffectiveConfiguration {
        let byKey = Dictionary(entries.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
        return EffectiveConfiguration(entries: ConfigurationCatalogue.keys.compactMap { byKey[$0.name] })
    }
}
