import Logging
import Synchronization
import StandIns
import TestSupport

@testable import SandboxCore

/// What a manager logs.
final class LoggedLines: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var text: String
        var metadata: [String: String]
    }

    private let lines = Mutex<[Line]>([])

    var all: [Line] { lines.withLock { $0 } }

    /// Those of one text.
    subscript(text: String) -> [Line] { all.filter { $0.text == text } }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    fileprivate func append(_ line: Line) { lines.withLock { $0.append(line) } }
}

private struct Handler: LogHandler {
    let log: LoggedLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
        log.append(LoggedLines.Line(level: event.level, text: "\(event.message)", metadata: metadata))
    }
}

extension World {
    /// A manager in the place of the world's own, with a log that can be read.
    func manager(log: LoggedLines, _ configure: (inout ManagerConfiguration) -> Void = { _ in }) -> SandboxManager {
        var configuration = ManagerConfiguration()
        configuration.creationRate = .unlimited
        configuration.owner = "replica-7"
        configure(&configuration)
        let manager = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: store,
            runtime: Runtime(time: time, random: SeededRandom(), spawner: spawner),
            observer: observer,
            log: log.logger
        )
        manager.hasRecovered.store(true, ordering: .releasing)
        return manager
    }
}
