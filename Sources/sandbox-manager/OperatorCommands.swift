internal import ArgumentParser
internal import OperatorClient

// The subcommands that talk to a running daemon.

/// Where the daemon is, and how to be let in.
struct DaemonOptions: ParsableArguments {
    @Option(help: "The daemon's address (default: SANDBOX_MANAGER_API_LISTEN, or http://127.0.0.1:8484).")
    var url: String?

    @Option(help: "A file that holds the API token (default: the variable SANDBOX_MANAGER_API_TOKEN).")
    var tokenFile: String?

    /// Talks to the daemon; what goes wrong is printed, and becomes the exit code.
    func talk(_ body: (OperatorClient) async throws(OperatorError) -> Void) async throws {
        do throws(OperatorError) {
            try await OperatorClient.connected(to: try address(), body)
        } catch {
            printError("\(error)")
            throw ExitCode(error.exitCode)
        }
    }

    private func address() throws(OperatorError) -> OperatorAddress {
        var contents: String?
        if let tokenFile {
            do {
                contents = try ProcessEnvironment.contents(of: tokenFile)
            } catch {
                throw .usage("cannot read \(tokenFile)")
            }
        }
        return try OperatorAddress(url: url, tokenFile: contents, environment: ProcessEnvironment.variables)
    }
}

/// The pair that a lease belongs to.
struct KeyArguments: ParsableArguments {
    @Argument(help: "The user id.")
    var user: String

    @Argument(help: "The project id.")
    var project: String
}

extension Command {
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows how a running daemon stands.")

        @OptionGroup var daemon: DaemonOptions
        @Flag(help: "Print the daemon's own reply.")
        var json = false

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in print(try await client.status(asJSON: json)) }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the leases of a running daemon.")

        @OptionGroup var daemon: DaemonOptions
        @Option(help: "Only this user's.")
        var user: String?
        @Option(help: "The most leases to list (default: all).")
        var limit: Int?
        @Flag(help: "Print the daemon's own replies, one page a line.")
        var json = false

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in
                try await client.list(user: user, limit: limit, asJSON: json) { printAtOnce($0) }
            }
        }
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Says in words why a key is in its state.")

        @OptionGroup var daemon: DaemonOptions
        @OptionGroup var key: KeyArguments
        @Flag(help: "Print the daemon's own reply.")
        var json = false

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in
                print(try await client.explain(user: key.user, project: key.project, asJSON: json))
            }
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends a lease and its sandbox.",
            discussion: "Prints `released` once the death is confirmed, `releasing` if that takes longer."
        )

        @OptionGroup var daemon: DaemonOptions
        @OptionGroup var key: KeyArguments

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in
                print(try await client.release(user: key.user, project: key.project))
            }
        }
    }

    struct StopCreates: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "stop-creates",
            abstract: "Has a running daemon make no sandboxes; leases that exist are served."
        )

        @OptionGroup var daemon: DaemonOptions

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in print(try await client.stopCreates()) }
        }
    }

    struct ResumeCreates: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume-creates",
            abstract: "Has a running daemon make sandboxes again."
        )

        @OptionGroup var daemon: DaemonOptions

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in print(try await client.resumeCreates()) }
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has a running daemon refuse new work, and waits until nothing is in flight.",
            discussion: "Leases live on, and so does the process, until you end it. There is no way back."
        )

        @OptionGroup var daemon: DaemonOptions
        @Option(help: "The longest wait, in seconds.")
        var timeout = 30.0

        func validate() throws {
            guard timeout >= 0, timeout.isFinite else { throw ValidationError("--timeout must be a number of seconds") }
        }

        func run() async throws {
            try await daemon.talk { client throws(OperatorError) in
                print(try await client.drain(within: .seconds(timeout)) { printAtOnce($0) })
            }
        }
    }
}
