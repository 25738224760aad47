import Foundation
import ManagerMetrics
import PrometheusClient
import Testing

@Suite struct MetricsReferenceTests {
    private static let regenerate = "SANDBOX_MANAGER_REGENERATE=1 swift test --filter MetricsReferenceTests"

    /// `docs/METRICS.md` of the checkout this test was compiled in.
    private var file: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/METRICS.md")
    }

    @Test func `the committed reference is what the program writes`() throws {
        let reference = try MetricsReference.markdown()
        if ProcessInfo.processInfo.environment["SANDBOX_MANAGER_REGENERATE"] == "1" {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try reference.write(to: file, atomically: true, encoding: .utf8)
        }
        let committed = try String(contentsOf: file, encoding: .utf8)
        #expect(committed == reference, "docs/METRICS.md is out of date: \(Self.regenerate)")
    }

    @Test func `every metric of the catalogue is in it`() throws {
        let reference = try MetricsReference.markdown()
        for metric in Catalogue.complete + Catalogue.partial {
            #expect(reference.contains("| `\(metric.name)` | \(metric.type.rawValue)"))
            for label in metric.labels { #expect(reference.contains("  - `\(label.name)`: ")) }
        }
    }
}
