import ArgumentParser
import DaemonConfiguration
import Testing

@Suite struct ConfigurationArgumentsTests {
    struct Program: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "program",
            version: "1.2.3",
            subcommands: [Serve.self, Check.self],
            defaultSubcommand: Serve.self
        )
    }

    struct Serve: ParsableCommand {
        static let configuration = CommandConfiguration(discussion: ConfigurationCatalogue.helpText())
        @OptionGroup var settings: ConfigurationArguments
    }

    struct Check: ParsableCommand {
        @OptionGroup var settings: ConfigurationArguments
    }

    static let arguments = [
        "--limits-per-user", "3", "--api-token=a,b", "--config", "/x.yaml", "--allow-faults", "--misspelt", "v", "-x",
    ]

    @Test func `a command passes settings on as they were given`() throws {
        let command = try #require(try Program.parseAsRoot(["check"] + Self.arguments) as? Check)
        #expect(command.settings.arguments == Self.arguments)
    }

    @Test func `the daemon needs no subcommand`() throws {
        let command = try #require(try Program.parseAsRoot(Self.arguments) as? Serve)
        #expect(command.settings.arguments == Self.arguments)
        #expect(try #require(try Program.parseAsRoot([]) as? Serve).settings.arguments.isEmpty)
    }

    @Test func `the help of the daemon lists every flag`() {
        let help = Program.helpMessage(for: Serve.self, columns: 80)
        for key in ConfigurationCatalogue.keys { #expect(help.contains("\n  \(key.flagName)")) }
    }

    @Test(arguments: [["--help"], ["--limits-total", "3", "--help"], ["check", "-h"], ["--version"]])
    func `help and version stay flags of the program`(arguments: [String]) {
        #expect(throws: (any Error).self) {
            var command = try Program.parseAsRoot(arguments)
            try command.run()
        }
    }
}
