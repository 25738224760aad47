internal import Foundation

/// What this process was given; nothing else in the program reads it.
enum ProcessEnvironment {
    static var variables: [String: String] { ProcessInfo.processInfo.environment }
    static var hostName: String { ProcessInfo.processInfo.hostName }

    static func contents(of path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    /// Where this executable lies.
    static var executable: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }

    static var processID: Int32 { ProcessInfo.processInfo.processIdentifier }
}
