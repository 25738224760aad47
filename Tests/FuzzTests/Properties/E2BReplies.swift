import Foundation
import HTTPTypes
import SandboxCore

@testable import CurlTransport
@testable import E2BProvider

extension FuzzTarget {
    private static let secret = "sk-0123456789abcdef"

    /// A response of the control plane or the edge: status, one header and its value in the first three lines, then
    /// the body.
    static let e2bReplies = FuzzTarget(name: "e2b-replies") { bytes in
        let head = lines(bytes).prefix(3)
        guard head.count == 3, let provider else { return [] }
        let body = Array(bytes.dropFirst(head.reduce(0) { $0 + $1.utf8.count + 1 }))
        var headers = HTTPFields()
        if let name = HTTPField.Name(head[1]) { headers[name] = head[2] }
        let response = TransportResponse(status: Int(head[0]) ?? 200, headers: headers, body: body)
        return responseFindings(response, provider) + textFindings(head[2])
    }

    /// The stream with which an agent answers to a command.
    static let processStreams = FuzzTarget(name: "process-streams") { bytes in
        var findings = Findings()
        if let frames = ConnectFrames.parse(bytes) {
            // The only other flag that is accepted is one that nobody knows, and it is not kept.
            let again = frames.map { frame in
                var written = ConnectFrames.frame(Array(frame.payload))
                written[0] = frame.isLast ? 2 : 0
                return written
            }
            findings.expectEqual(ConnectFrames.parse(again.flatMap(\.self)), frames, "frames, written and read")
            findings.expectEqual(again.reduce(0) { $0 + $1.count }, bytes.count, "the length of all frames")
        }
        for limit in [0, 7, 1 << 20] {
            guard case .result(let result) = ProcessStream.read(bytes, limit: limit) else { continue }
            let kept = [result.standardOutput.count, result.standardError.count]
            findings.expect(kept.allSatisfy { $0 <= limit }, "\(kept) bytes were kept of \(limit)")
            findings.expect(
                result.timedOut || result.exitCode != nil || result.signal != nil,
                "an end without a reason"
            )
        }
        return findings.words
    }

    private static let provider: E2BProvider? = {
        var configuration = E2BConfiguration(apiKey: Secret(secret))
        configuration.apiURL = "http://127.0.0.1:1"
        return try? E2BProvider(configuration: configuration, time: Standstill())
    }()

    private static func responseFindings(_ response: TransportResponse, _ provider: E2BProvider) -> [String] {
        var findings = Findings()
        for operation in ProviderOperation.allCases {
            let error = ReplyFailure(operation, response, Redactor([Secret(secret)])).error
            findings.expect(!error.detail.contains(secret), "the key in an error (I13)")
            findings.expect(error.detail.utf8.count < 2000, "an error of \(error.detail.utf8.count) bytes")
            if let wait = error.retryAfter {
                findings.expect(wait >= .zero && wait <= .seconds(86_400), "a wait of \(wait)")
            }
        }
        if ReplyFailure.saysGone(response) {
            findings.expectEqual(response.status, 404, "the status of what is gone (I8)")
        }
        _ = EdgeRefusal(response)
        if let reply = JSON.decode(SandboxReply.self, response.body), Addresses.isSafe(reply.id) {
            findings.expect(!reply.id.rawValue.contains("/"), "a slash in an id")
        }
        let details = JSON.decode([DetailReply].self, response.body) ?? []
        for detail in details + [JSON.decode(DetailReply.self, response.body)].compactMap(\.self) {
            guard let info = provider.described(detail, response) else { continue }
            findings.expect(info.sandbox.remainingLife >= .zero, "a life below zero")
            _ = info.startedAt.microseconds
            guard let labels = info.labels else { continue }
            let again = LabelMetadata.labels(in: LabelMetadata.metadata(of: labels))
            findings.expectEqual(again?.key, labels.key, "the key in its own labels (I5)")
        }
        findings.expect(provider.sessionEnds.count <= 10_000, "more session ends than the bound")
        return findings.words
    }

    private static func textFindings(_ text: String) -> [String] {
        var findings = Findings()
        let words = Redactor([Secret(secret)]).words(text + secret + text + "e2b_0123456789abcdef0123")
        findings.expect(!words.contains(secret), "a secret in the words (I13)")
        findings.expect(!words.contains("e2b_0"), "somebody's key in the words (I13)")
        findings.expect(words.unicodeScalars.count <= 200, "\(words.unicodeScalars.count) scalars of words")
        findings.expect(words.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "a control character")
        // Any text fits through the three layers of a filter.
        var filter = MetadataFilter.encode([(text, text)])
        filter = filter.removingPercentEncoding ?? "the first layer"
        let pair = filter.split(separator: "=", omittingEmptySubsequences: false).map {
            $0.removingPercentEncoding?.removingPercentEncoding
        }
        findings.expectEqual(pair, [text, text], "a filter's pair")
        if let time = Timestamps.rfc3339(text), let oracle = oracle(text) {
            findings.expect(
                abs(time.sinceEpoch / .seconds(1) - oracle) < 0.002,
                "\(text) is \(time), and \(oracle) to Foundation"
            )
        }
        if let time = Timestamps.httpDate(text) {
            findings.expect(time.sinceEpoch >= .zero && time.sinceEpoch < .seconds(400_000_000_000), "the date \(time)")
        }
        return findings.words
    }

    /// Foundation's reading of a time, where it is the same calendar: before 1582 it takes the Julian one.
    private static func oracle(_ text: String) -> Double? {
        guard text.utf8.count <= 40, text >= "1600",
            let date = try? Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains(".")).parse(text)
        else { return nil }
        return date.timeIntervalSince1970
    }
}

/// Two clocks that stand still.
private struct Standstill: TimeSource {
    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: .seconds(1000)) }
    func wallNow() -> WallTime { WallTime(sinceEpoch: .seconds(1_800_000_000)) }
    func sleep(until deadline: MonotonicInstant) async {}
}
