internal import ArgumentParser
internal import FakeE2B
internal import Glibc

/// Runs the fake E2B cloud as a process of its own, for tests in other languages.
///
/// Prints one line of JSON with both base URLs and serves until its standard input ends.
@main
struct FakeE2BCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fake-e2b",
        abstract: "A stand-in for E2B's cloud on loopback, for tests."
    )

    @Option(help: "Port of the control plane; 0 for any.")
    var apiPort: UInt16 = 0

    @Option(help: "Port of the edge; 0 for any.")
    var edgePort: UInt16 = 0

    @Option(help: "How many sandboxes may run at once.")
    var concurrency = 1000

    @Option(help: "The tier's longest session in seconds.")
    var tierSeconds = 3600

    func run() throws {
        var configuration = FakeE2BConfiguration()
        configuration.ports = (apiPort, edgePort)
        configuration.concurrencyLimit = concurrency
        configuration.tierSeconds = tierSeconds
        let server = try FakeE2BServer(configuration)
        print("{\"apiURL\":\"\(server.apiURL)\",\"sandboxURL\":\"\(server.sandboxURL)\"}")
        fflush(nil)
        // The parent that started it holds the other end; so it never outlives a test that crashed.
        while getchar() != EOF {}
        server.stop()
    }
}
