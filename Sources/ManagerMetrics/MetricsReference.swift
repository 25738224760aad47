public import PrometheusClient
internal import SandboxCore

/// The reference of all metrics, written from what is registered: it cannot disagree with the program.
public enum MetricsReference {
    /// Stands for a value that each build or process sets by itself.
    private static let anyValue = "…"

    /// The reference of the whole catalogue as a Markdown document.
    ///
    /// - Throws: What is wrong with a name; a fault of ours.
    public static func markdown() throws(MetricError) -> String {
        let build = BuildInformation(version: anyValue, revision: anyValue, swiftVersion: anyValue)
        let catalogue = try ManagerMetrics(build: build, startedAt: WallTime(sinceEpoch: .zero))
        return markdown(catalogue.registry.metrics)
    }

    /// The reference of some metrics as a Markdown document.
    public static func markdown(_ metrics: [MetricDescription]) -> String {
        var bucketLists: [[Double]] = []
        for metric in metrics where !metric.bucketBounds.isEmpty && !bucketLists.contains(metric.bucketBounds) {
            bucketLists.append(metric.bucketBounds)
        }
        var lines = [
            "# Metrics", "",
            "Written by the program itself; do not edit. `/metrics` of the metrics listener serves all of them.",
            "Every series exists from the start, at 0, and their number (\(metrics.reduce(0) { $0 + $1.seriesCount })) does",
            "not depend on the number of users. No label ever names a user, a project or a sandbox.", "",
            "| metric | type | labels | series | help |", "|---|---|---|---|---|",
        ]
        lines += metrics.map { metric in
            let list = bucketLists.firstIndex(of: metric.bucketBounds).map { ", buckets \(name(ofList: $0))" } ?? ""
            let labels = metric.labelNames.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(metric.name)` | \(metric.type.rawValue)\(list) | \(labels) | \(metric.seriesCount) | "
                + "\(metric.help) |"
        }
        lines += ["", "## Label values", ""]
        for metric in metrics where !metric.labelNames.isEmpty { lines += values(of: metric) }
        lines += ["", "## Buckets", "", "Upper bounds in seconds; `+Inf` follows the last.", ""]
        for (index, bounds) in bucketLists.enumerated() {
            lines.append("- \(name(ofList: index)): " + bounds.map { "\($0)" }.joined(separator: " "))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func values(of metric: MetricDescription) -> [String] {
        var lines = ["- `\(metric.name)`"]
        var pairs = 1
        for (position, label) in metric.labelNames.enumerated() {
            let values = Set(metric.labelValues.map { $0[position] }).sorted()
            pairs *= values.count
            let shown = values == [anyValue] ? "set by the build" : values.map { "`\($0)`" }.joined(separator: ", ")
            lines.append("  - `\(label)`: \(shown)")
        }
        if pairs != metric.labelValues.count {
            lines.append("  - only the \(metric.labelValues.count) combinations that can occur")
        }
        return lines
    }

    private static func name(ofList index: Int) -> String { String(UnicodeScalar(UInt8(ascii: "A") + UInt8(index))) }
}
