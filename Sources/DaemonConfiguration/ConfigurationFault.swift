/// One thing that is wrong with the configuration.
public struct ConfigurationFault: Sendable, Hashable, CustomStringConvertible {
    /// The key, or the unknown name, or the name of the source if that cannot be read at all.
    public let key: String
    /// Where it was found.
    public let source: ConfigurationSource
    /// What is wrong and, where it is known, what to do. Never contains a secret.
    public let problem: String

    /// Bundles the three.
    public init(key: String, source: ConfigurationSource, problem: String) {
        self.key = key
        self.source = source
        self.problem = problem
    }

    /// One line for a terminal or a log.
    public var description: String { "\(printable(key, limit: 256)): \(problem) (\(source))" }
}

/// Everything that is wrong with the configuration, at once.
public struct ConfigurationFaults: Error, Sendable, Hashable, CustomStringConvertible {
    /// At least one fault, in the order: command line, environment, file, values, combinations.
    public let faults: [ConfigurationFault]
    /// The configuration as far as it could be read, for `config check`; secrets are masked.
    public let effective: EffectiveConfiguration

    /// One line for each fault.
    public var description: String { faults.map(\.description).joined(separator: "\n") }
}
