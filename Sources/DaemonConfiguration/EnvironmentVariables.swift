internal import Configuration

/// The variables of the environment that are ours.
struct EnvironmentVariables {
    private let variables: [String: String]

    /// Keeps the variables that have a text: compose and unit files pass what is not set as an empty one.
    init(_ environment: [String: String]) {
        variables = environment.filter { !trimmed($0.value).isEmpty }
    }

    /// The environment as the second layer of the configuration.
    var layer: ConfigurationLayer {
        let withoutPrefix = Set(ConfigurationCatalogue.keys.filter { !$0.hasEnvironmentPrefix }.map(\.components))
        let ours = variables.filter { ConfigurationCatalogue.keysByVariable[$0.key] != nil }
        let provider = EnvironmentVariablesProvider(environmentVariables: ours, secretsSpecifier: .all)
            .mapKeys { withoutPrefix.contains($0.components) ? $0 : $0.prepending("sandboxManager") }
        return ConfigurationLayer(
            snapshot: provider.snapshot(),
            source: { .environment($0.environmentName) }
        )
    }

    /// One fault for each variable with our prefix that no key has.
    var faults: [ConfigurationFault] {
        variables.sorted { $0.key < $1.key }.compactMap { name, value in
            guard name.hasPrefix(ConfigurationKey.environmentPrefix),
                ConfigurationCatalogue.keysByVariable[name] == nil,
                !Self.isServiceLink(name, value: value)
            else { return nil }
            return ConfigurationFault(
                key: name,
                source: .environment(name),
                problem: "is not a known variable\(Self.hint(for: name))"
            )
        }
    }

    private static func hint(for name: String) -> String {
        let bare = String(name.dropFirst(ConfigurationKey.environmentPrefix.count))
        if ConfigurationCatalogue.keysByVariable[bare] != nil { return "; did you mean \(bare)?" }
        // Compared without the prefix that all share: it would make every short name look like every other.
        let candidates = ConfigurationCatalogue.keys.filter(\.hasEnvironmentPrefix)
            .map { String($0.environmentName.dropFirst(ConfigurationKey.environmentPrefix.count)) }
        guard let best = Suggestion.closest(to: bare, among: candidates) else { return "" }
        return "; did you mean \(ConfigurationKey.environmentPrefix)\(best)?"
    }

    /// Whether Kubernetes put the variable there for a Service named `sandbox-manager…` in the same namespace.
    private static func isServiceLink(_ name: String, value: String) -> Bool {
        let isPortNumber = Listener.port(value[...]) != nil
        if name.hasSuffix("_SERVICE_HOST") { return Listener.isIPv4(value) || Listener.ipv6Bytes(value) != nil }
        if name.contains("_SERVICE_PORT") { return isPortNumber }
        let isLink = ["tcp://", "udp://", "sctp://"].contains { value.hasPrefix($0) }
        if name.hasSuffix("_PORT"), isLink { return true }
        guard let marker = name.firstRange(of: "_PORT_") else { return false }
        let tail = name[marker.upperBound...].split(separator: "_")
        guard let port = tail.first, Listener.port(port) != nil, tail.count >= 2 else { return false }
        return ["TCP", "UDP", "SCTP"].contains(String(tail[1]))
    }
}
