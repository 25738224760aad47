import Logging
import Synchronization

/// Collects everything that is logged, at every level.
final class LogCapture: Sendable {
    private let text = Mutex("")

    var lines: String { text.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(capture: self) } }

    private struct Handler: LogHandler {
        let capture: LogCapture
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            capture.text.withLock { $0 += "\(event.message) \(event.metadata ?? [:])\n" }
        }
    }
}
