@testable import OperatorClient

extension FuzzTarget {
    /// What a daemon, or whatever answers in its place, tells an operator.
    static let operatorPages = FuzzTarget(name: "operator-pages") { bytes in
        var findings = Findings()
        func look(_ text: String, mayHaveLines: Bool = true) {
            let isClean = text.unicodeScalars.allSatisfy { scalar in
                (scalar == "\n" && mayHaveLines) || scalar.properties.generalCategory != .control
            }
            // Otherwise it could write anywhere on the operator's terminal.
            findings.expect(isClean, "a control character on a page")
            findings.expect(text.utf8.count < 64 * bytes.count + 4096, "a page of \(text.utf8.count) bytes")
        }
        let reply = OperatorReply(status: 200, body: bytes)
        if let stats = try? reply.decoded(StatsReply.self) { look(StatusPage(url: "http://h", stats: stats).text) }
        if let list = try? reply.decoded(ListReply.self) {
            look(LeasePage.text(list.sandboxes))
            let rows = LeasePage.text(list.sandboxes).split(separator: "\n", omittingEmptySubsequences: false)
            findings.expectEqual(rows.count, list.sandboxes.isEmpty ? 1 : list.sandboxes.count + 1, "lines")
        }
        if let explained = try? reply.decoded(ExplainReply.self) {
            explained.summary.forEach { look($0.printable, mayHaveLines: false) }
            explained.events.forEach { look($0.at.toTheSecond.printable, mayHaveLines: false) }
        }
        if let problem = try? reply.decoded(ProblemReply.self) {
            look(OperatorError.refused(code: problem.code, detail: problem.detail).description, mayHaveLines: false)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if let address = try? OperatorAddress(url: text, tokenFile: text, environment: [:]) {
            findings.expect(
                address.token?.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ?? true,
                "a token of odd characters"
            )
            findings.expect(address.url.hasPrefix("http"), "an address of another kind")
        }
        return findings.words
    }
}
