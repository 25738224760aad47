import RedisClient
import SandboxCore

@testable import DaemonConfiguration

extension FuzzTarget {
    private static let canary = "canary-of-a-secret"

    /// The YAML file, up to a line `===`; behind it flags, one a line, and variables as NAME=VALUE.
    ///
    /// `CANARY` stands for a secret wherever it occurs.
    static let configuration = FuzzTarget(name: "configuration") { bytes in
        let all = lines(bytes).map {
            $0.split(separator: "CANARY", omittingEmptySubsequences: false).joined(separator: canary)
        }
        let end = all.firstIndex(of: "===") ?? all.endIndex
        let file = all[..<end].joined(separator: "\n")
        var (flags, variables) = (["--config", "file.yaml"], [String: String]())
        for line in all[end...].dropFirst() {
            guard let sign = line.firstIndex(of: "="), !line.hasPrefix("-") else {
                flags.append(line)
                continue
            }
            variables[String(line[..<sign])] = String(line[line.index(after: sign)...])
        }
        let result = DaemonSettings.load(arguments: flags, environment: variables, hostName: "host") { _ in file }
        return findings(result, all) + valueFindings(all[0])
    }

    private static func findings(_ result: Result<LoadedConfiguration, ConfigurationFaults>, _ all: [String])
        -> [String]
    {
        var findings = Findings()
        // A secret in a place that is no secret's is shown there, as a name or a word; so only where it belongs.
        let secretLine = ["token: ", "tokenSecondary: ", "API_TOKEN=", "API_KEY=", "apiKey: "]
        let isHidden = all.allSatisfy { line in
            !line.contains(canary)
                || secretLine.contains { line.hasSuffix($0 + canary) && line.split(separator: canary).count == 1 }
        }
        switch result {
        case .success(let loaded):
            let settings = loaded.settings
            findings.expect(settings.api.listener.isLoopback || !settings.api.tokens.isEmpty, "open to everybody")
            findings.expect(
                settings.api.tokens.allSatisfy { isVisibleASCII($0.reveal()) },
                "a token that no header can carry"
            )
            findings.expect(settings.faults.isEmpty || settings.allowFaults, "faults that nobody allowed")
            findings.expect(settings.manager.limits.total > 0 && settings.manager.limits.perUser > 0, "no limits")
            findings.expect(settings.manager.idleTimeout <= settings.manager.maxAge, "idle for longer than a life")
            if isHidden {
                let shown = "\(loaded.effective)\(loaded.warnings)\(settings)"
                findings.expect(!shown.contains(canary), "a secret is shown (I13)")
            }
        case .failure(let faults):
            findings.expect(!faults.faults.isEmpty, "a failure without a fault")
            findings.expect(
                faults.description.utf8.count < 1 << 20,
                "a report of \(faults.description.utf8.count) bytes"
            )
            let isPrintable = faults.description.unicodeScalars.allSatisfy {
                $0 == "\n" || $0.properties.generalCategory != .control
            }
            findings.expect(isPrintable, "a control character in a report")
            if isHidden {
                findings.expect(!"\(faults.description)\(faults.effective)".contains(canary), "a secret is shown (I13)")
            }
        }
        return findings.words
    }

    /// The kinds of values by themselves.
    private static func valueFindings(_ text: String) -> [String] {
        var findings = Findings()
        if let decimal = DecimalText(text) {
            // The oracle: a detour over binary floating point is near enough to tell a wrong digit.
            let (ours, oracle) = (decimal.duration / .seconds(1), Double(text) ?? .nan)
            findings.expect(abs(ours - oracle) <= abs(oracle) * 1e-12, "\(text) is \(ours)")
        }
        if let listener = try? Listener(parsing: text) {
            findings.expectEqual(try? Listener(parsing: listener.description), listener, "an address, written and read")
        }
        if let url = try? ValueKind<String>.webURL.parse(text) {
            findings.expect(!url.contains("@") && isVisibleASCII(url), "an address with a user in it")
            findings.expectEqual(
                try? ValueKind<String>.webURL.parse(url),
                url.hasSuffix("/") ? String(url.dropLast()) : url,
                "an address again"
            )
        }
        findings.expect(!redactedURL("redis://u:\(canary)@\(text)").contains(canary), "a password is shown (S6)")
        findings.expect(!redactedURL("x://\(canary)\(text)@h").contains(canary), "a password is shown (S6)")
        findings.expect(printable(text).unicodeScalars.count <= 80 * 10 + 1, "a long line")
        return findings.words
    }
}
