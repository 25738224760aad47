internal import Configuration
internal import Synchronization

/// The YAML file.
struct ConfigurationFile {
    /// The file as the third layer of the configuration; `nil` if it is empty or cannot be read.
    private(set) var layer: ConfigurationLayer?
    /// Why it cannot be read, or one fault for each key that does not belong there.
    private(set) var faults: [ConfigurationFault] = []

    /// Reads a file's text; the path is for reports only.
    init(_ text: String, path: String) {
        guard !Self.isEmpty(text) else { return }
        // swift-configuration asks for each key it finds whether it is a secret, and tells the names nowhere else. All
        // are called secret, so that no textual form of the snapshot shows a value.
        let found = Found()
        let options = YAMLSnapshot.ParsingOptions(secretsSpecifier: .dynamic { name, _ in found.add(name) })
        do {
            let snapshot = try YAMLSnapshot(
                data: Array(text.utf8).span.bytes,
                providerName: "file",
                parsingOptions: options
            )
            layer = ConfigurationLayer(snapshot: snapshot, source: { _ in .file(path) })
        } catch {
            let problem = Self.problem(of: String(describing: error))
            faults.append(ConfigurationFault(key: "config", source: .file(path), problem: problem))
        }
        faults += found.faults(path: path)
    }

    /// Stands for a file that could not be read.
    init(unreadable path: String, because reason: String) {
        faults = [ConfigurationFault(key: "config", source: .file(path), problem: "cannot be read: \(reason)")]
    }

    /// A file of comments is an empty configuration; the YAML reader calls it "no mapping".
    private static func isEmpty(_ text: String) -> Bool {
        text.split(whereSeparator: \.isNewline).allSatisfy {
            let line = trimmed($0)
            return line.isEmpty || line.hasPrefix("#") || line == "---" || line == "..."
        }
    }

    /// What the YAML reader says, without the line of the file that it quotes: there may be a secret on it.
    private static func problem(of description: String) -> String {
        let position = description.prefix { $0.isNumber || $0 == ":" }.split(separator: ":")
        let place = position.count == 2 ? " at line \(position[0]), column \(position[1])" : ""
        if description.contains("duplicated key") { return "has a key twice in one group" }
        if description.hasPrefix("Top level") { return "is not a YAML mapping of keys to values" }
        if description.hasPrefix("Unexpected non-scalar") { return "has a list of something other than plain texts" }
        return "is not valid YAML\(place)"
    }
}

/// The names of the keys in a file, in their order.
private final class Found: Sendable {
    private let names = Mutex<[String]>([])

    /// Notes a name; says that its value is a secret.
    func add(_ name: String) -> Bool {
        names.withLock { $0.append(name) }
        return true
    }

    func faults(path: String) -> [ConfigurationFault] {
        var seen: Set<String> = []
        return names.withLock { $0 }.compactMap { name in
            let isNew = seen.insert(name).inserted
            guard let problem = isNew ? Self.problem(of: name) : "is given twice" else { return nil }
            return ConfigurationFault(key: name, source: .file(path), problem: problem)
        }
    }

    private static func problem(of name: String) -> String? {
        if let key = ConfigurationCatalogue.key(named: name) {
            guard !key.isAllowedInFile else { return nil }
            return "is not accepted in the file; use \(key.flagName) or \(key.environmentName)"
        }
        let names = ConfigurationCatalogue.keys.filter(\.isAllowedInFile).map(\.name)
        if names.contains(where: { $0.hasPrefix(name + ".") }) {
            return "is a group of keys and has no value of its own; indent its keys below it, or remove it"
        }
        return "is not a known key\(Suggestion.phrase(for: name, among: names))"
    }
}
