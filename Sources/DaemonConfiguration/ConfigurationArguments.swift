public import ArgumentParser

/// The settings on a command line, for commands of swift-argument-parser.
///
/// Collects every argument that the command itself does not know and checks none of them:
/// ``DaemonSettings/load(arguments:environment:hostName:readFile:)`` knows all flags from the catalogue and reports the
/// unknown ones together with everything else. ``ConfigurationCatalogue/helpText(columns:)`` belongs into the command's
/// discussion, so that `--help` lists them.
public struct ConfigurationArguments: ParsableArguments {
    /// The arguments as given, in their order.
    @Argument(parsing: .allUnrecognized, help: ArgumentHelp("Settings, see below.", valueName: "settings"))
    public var arguments: [String] = []

    /// No arguments.
    public init() {}
}
