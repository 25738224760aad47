import DaemonConfiguration
import Testing

/// Loads a configuration from the given sources; a file is read only if its text is given.
func load(
    _ arguments: [String] = [],
    environment: [String: String] = [:],
    file: String? = nil,
    hostName: String = "machine-1"
) -> Result<LoadedConfiguration, ConfigurationFaults> {
    DaemonSettings.load(
        arguments: file == nil ? arguments : ["--config", "/etc/manager.yaml"] + arguments,
        environment: environment,
        hostName: hostName
    ) { path in
        guard let file, path == "/etc/manager.yaml" else { throw NoSuchFile() }
        return file
    }
}

struct NoSuchFile: Error, CustomStringConvertible {
    var description: String { "no such file" }
}

/// The faults of a configuration that must be refused.
func faults(
    _ arguments: [String] = [],
    environment: [String: String] = [:],
    file: String? = nil
) -> [ConfigurationFault] {
    switch load(arguments, environment: environment, file: file) {
    case .success:
        Issue.record("the configuration was accepted")
        return []
    case .failure(let refused):
        return refused.faults
    }
}

extension [ConfigurationFault] {
    /// The problems of one key, joined.
    func problem(of key: String) -> String? {
        let problems = filter { $0.key == key }.map(\.problem)
        return problems.isEmpty ? nil : problems.joined(separator: "\n")
    }
}
