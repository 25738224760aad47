internal import Foundation

/// The folder with the shipped rules and runbooks.
public struct AlertFolder: Sendable {
    /// Where it is.
    public let path: String

    /// - Throws: If there are no rules in it.
    public init(path: String) throws {
        self.path = path
        guard FileManager.default.fileExists(atPath: rulesPath) else {
            throw DrillError("there is no \(Self.rulesName) in \(path)")
        }
    }

    /// The first of these that holds the rules: what `named` says, `alerts` beside the executable's package, `./alerts`,
    /// the place of the system package.
    ///
    /// - Throws: If none does; or if `named` is given and does not.
    public static func find(named: String?, executable: String) throws -> AlertFolder {
        if let named { return try AlertFolder(path: named) }
        var folder = URL(fileURLWithPath: executable).deletingLastPathComponent()
        var candidates: [String] = []
        // .build/<triple>/<kind>/sandbox-manager lies four folders below the package.
        for _ in 0..<5 {
            candidates.append(folder.appendingPathComponent("alerts").path)
            folder.deleteLastPathComponent()
        }
        candidates += ["alerts", "/usr/share/sandbox-manager/alerts"]
        for candidate in candidates {
            if let found = try? AlertFolder(path: candidate) { return found }
        }
        throw DrillError("there are no alert rules in \(candidates.joined(separator: ", ")); name them with --alerts")
    }

    /// The text of the rule file.
    public func rules() throws -> String { try String(contentsOfFile: rulesPath, encoding: .utf8) }

    /// The names of all alerts in the rules, in their order.
    public func alerts() throws -> [String] {
        try rules().split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count >= 3 && words[0] == "-" && words[1] == "alert:" ? String(words[2]) : nil
        }
    }

    /// The alerts that the runbook of `alert` names as its companions: what may well fire with it, from the same cause.
    ///
    /// It is the line `Companions: A, B` of the runbook; a runbook without one has none.
    public func companions(of alert: String) throws -> Set<String> {
        let runbook = try String(contentsOfFile: "\(path)/runbooks/\(alert).md", encoding: .utf8)
        return Self.companions(inRunbook: runbook)
    }

    static func companions(inRunbook text: String) -> Set<String> {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.hasPrefix("Companions:") }) else { return [] }
        // The paragraph: it may go on for some lines.
        let words = lines[start...].prefix { !$0.allSatisfy(\.isWhitespace) }.joined(separator: " ")
            .dropFirst("Companions:".count)
        return Set(
            words.split { $0 == "," || $0 == " " || $0 == "." || $0 == "`" }
                .filter { $0.hasPrefix("SandboxManager") }.map(String.init)
        )
    }

    private static let rulesName = "sandbox-manager.rules.yml"
    private var rulesPath: String { "\(path)/\(Self.rulesName)" }
}
