internal import Foundation

/// How one drill went.
public struct DrillReport: Sendable, Codable, Hashable {
    /// The alert.
    public var alert: String
    /// What was done, in one sentence.
    public var cause: String
    /// What every span of time in the rules was divided by.
    public var speedup: Double
    /// Seconds from the cause until the alert was pending; nil if it was so at no evaluation.
    public var pendingAfter: Double?
    /// Seconds from the cause until it fired; nil if it did not.
    public var firingAfter: Double?
    /// Seconds from the end of the cause until it no longer fired; nil if it went on.
    public var resolvedAfter: Double?
    /// Other alerts that fired and that neither the runbook nor the way of the drill explains.
    public var unexpected: [String] = []
    /// Why the drill failed, in words; nil if it did not.
    public var failure: String?

    /// Whether the alert fired, resolved, and came with nobody unexpected.
    public var hasPassed: Bool { failure == nil && firingAfter != nil && resolvedAfter != nil && unexpected.isEmpty }

    /// What the time to firing means at the real windows, such as `15 min`.
    ///
    /// Only the rules were sped up: what the daemon itself took is in it as well, so it is an upper bound.
    public var firingUnshrunk: String {
        guard let firingAfter else { return "" }
        let seconds = firingAfter * speedup
        return switch seconds {
        case ..<90: String(format: "%.0f s", seconds)
        case ..<5400: String(format: "%.0f min", seconds / 60)
        case ..<172_800: String(format: "%.1f h", seconds / 3600)
        default: String(format: "%.1f days", seconds / 86_400)
        }
    }
}

/// Several drills on paper.
public enum DrillTable {
    /// A table in Markdown, ending in a newline.
    public static func markdown(_ reports: [DrillReport]) -> String {
        var lines = [
            "| alert | cause | speedup | pending (s) | firing (s) | resolved (s) | firing at real windows | result |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for report in reports {
            let cells = [
                report.alert, report.cause, String(format: "%.0f", report.speedup), seconds(report.pendingAfter),
                seconds(report.firingAfter), seconds(report.resolvedAfter), report.firingUnshrunk, verdict(report),
            ]
            lines.append("| " + cells.map(cell).joined(separator: " | ") + " |")
        }
        let passed = reports.count(where: \.hasPassed)
        lines += ["", "\(passed) of \(reports.count) drills passed."]
        return lines.joined(separator: "\n") + "\n"
    }

    /// The same as a JSON array.
    public static func json(_ reports: [DrillReport]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try String(decoding: encoder.encode(reports), as: UTF8.self)
    }

    private static func seconds(_ value: Double?) -> String { value.map { String(format: "%.1f", $0) } ?? "" }

    private static func verdict(_ report: DrillReport) -> String {
        if report.hasPassed { return "passed" }
        let others = report.unexpected.isEmpty ? nil : "also fired: \(report.unexpected.joined(separator: ", "))"
        return "**failed**: " + [report.failure, others].compactMap(\.self).joined(separator: "; ")
    }

    private static func cell(_ text: String) -> String {
        text.replacingOccurrences(of: "|", with: "\\|").replacingOccurrences(of: "\n", with: " ")
    }
}
