internal import ArgumentParser
internal import DaemonConfiguration
internal import Foundation
internal import ManagerMetrics
internal import SystemRuntime

/// `sandbox-manager`: without a subcommand it runs the daemon.
@main
struct Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox-manager",
        abstract: "Leases sandboxes: one (user, project) pair, one healthy sandbox.",
        discussion: "Without a subcommand it runs the daemon, whose settings these are.\n\n"
            + ConfigurationCatalogue.helpText(),
        version: Build.version,
        subcommands: [
            Run.self, Config.self, Status.self, List.self, Explain.self, Release.self, StopCreates.self,
            ResumeCreates.self, Drain.self, DrillCommand.self, Metrics.self,
        ],
        defaultSubcommand: Run.self
    )
}

extension Command {
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the daemon.",
            discussion: ConfigurationCatalogue.helpText()
        )

        @OptionGroup var settings: ConfigurationArguments

        func run() async throws {
            switch loadConfiguration(settings.arguments) {
            case .success(let loaded):
                HeapTrim.useOneHeap()
                try await Daemon(loaded).run()
            case .failure(let faults):
                printError("\(faults)\nThe configuration has faults; nothing was started.")
                throw ExitCode(64)
            }
        }
    }

    struct Config: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Looks at the configuration.",
            subcommands: [Check.self, Table.self]
        )
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the effective configuration, and everything that is wrong with it.",
            discussion: ConfigurationCatalogue.helpText()
        )

        @OptionGroup var settings: ConfigurationArguments

        func run() async throws {
            switch loadConfiguration(settings.arguments) {
            case .success(let loaded):
                print(render(effective: loaded.effective))
                for warning in loaded.warnings { printError("warning: \(warning)") }
            case .failure(let faults):
                print(render(effective: faults.effective))
                printError("\(faults)")
                throw ExitCode(64)
            }
        }
    }
}

extension Command {
    struct Table: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints every setting as a Markdown table, as the README shows it."
        )

        func run() { print(ConfigurationCatalogue.markdownTable()) }
    }
}

extension Command {
    struct Metrics: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the reference of all metrics, as docs/METRICS.md shows it."
        )

        @Flag(help: "As a Markdown document, which is also what comes without it.")
        var markdown = false

        func run() throws { print(try MetricsReference.markdown(), terminator: "") }
    }
}

/// Reads the configuration of this process.
func loadConfiguration(_ arguments: [String]) -> Result<LoadedConfiguration, ConfigurationFaults> {
    DaemonSettings.load(
        arguments: arguments,
        environment: ProcessEnvironment.variables,
        hostName: ProcessEnvironment.hostName,
        readFile: ProcessEnvironment.contents(of:)
    )
}

/// Unlike `print` it holds nothing back when the output is a pipe.
func printAtOnce(_ text: String) {
    FileHandle.standardOutput.write(Data("\(text)\n".utf8))
}

func printError(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
}
