/// A configuration without faults.
public struct LoadedConfiguration: Sendable {
    /// What the daemon is to do.
    public let settings: DaemonSettings
    /// Every key's value and source, fit to be printed.
    public let effective: EffectiveConfiguration
    /// Combinations that are accepted but hardly meant, one sentence each, without secrets.
    public let warnings: [String]
    /// The path of the file that was read, or `nil` if there was none.
    public let file: String?
}

extension DaemonSettings {
    /// Reads the configuration: flags win over environment variables, these over the file, and that over the defaults.
    ///
    /// Touches nothing outside its parameters. An empty variable counts as not set. An empty flag or an empty value in
    /// the file switches an optional setting off, and is a fault in one that has a default.
    ///
    /// - Parameters:
    ///   - arguments: The daemon's arguments without the names of program and subcommands.
    ///   - environment: The environment as a whole; variables of others are ignored, also those that Kubernetes makes
    ///     for a Service named like the daemon.
    ///   - hostName: The machine's name, from which the environment without Redis is named.
    ///   - readFile: Returns the text of the file at a path, or throws an error fit to be shown.
    /// - Returns: The configuration, or everything that is wrong with it.
    public static func load(
        arguments: [String],
        environment: [String: String],
        hostName: String,
        readFile: (String) throws -> String
    ) -> Result<LoadedConfiguration, ConfigurationFaults> {
        let flags = CommandLineFlags(arguments)
        let variables = EnvironmentVariables(environment)
        var reader = SettingReader(
            layers: [flags.layer, variables.layer],
            faults: flags.faults + variables.faults
        )
        let table = SettingTable.standard
        let path = reader.optional(table.config)
        if let path { reader.add(file: file(at: path, readFile: readFile)) }

        let settings = DaemonSettings(reading: &reader, from: table, hostName: hostName)
        settings.check(with: &reader, table: table)

        let effective = reader.effective.sorted()
        guard reader.faults.isEmpty else {
            return .failure(ConfigurationFaults(faults: reader.faults, effective: effective))
        }
        let loaded = LoadedConfiguration(
            settings: settings,
            effective: effective,
            warnings: reader.warnings,
            file: path
        )
        return .success(loaded)
    }

    private static func file(at path: String, readFile: (String) throws -> String) -> ConfigurationFile {
        do {
            return ConfigurationFile(try readFile(path), path: path)
        } catch {
            return ConfigurationFile(unreadable: path, because: printable("\(error)", limit: 256))
        }
    }
}
