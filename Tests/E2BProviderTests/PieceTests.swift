import SandboxCore
import Testing

@testable import E2BProvider

struct PieceTests {
    @Test(arguments: [
        ("2026-11-22T19:30:06Z", 1_795_375_806_000_000), ("2026-11-22T19:30:06.400272Z", 1_795_375_806_400_272),
        ("2026-11-22T20:30:06.400272123+01:00", 1_795_375_806_400_272), ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00.5-00:30", 951_827_400_500_000),
    ])
    func `RFC 3339 is read to the microsecond`(text: String, microseconds: Int64) {
        #expect(Timestamps.rfc3339(text)?.microseconds == microseconds)
    }

    @Test(arguments: ["", "now", "2026-11-22", "2026-11-22T19:30:06", "2026-13-22T19:30:06Z", "2026-11-22T19:30:06.Z"])
    func `other texts are no times`(text: String) {
        #expect(Timestamps.rfc3339(text) == nil)
    }

    @Test func `the Date header is read`() {
        #expect(Timestamps.httpDate("Sun, 22 Nov 2026 19:30:06 GMT")?.microseconds == 1_795_375_806_000_000)
        #expect(Timestamps.httpDate("yesterday") == nil)
    }

    @Test(arguments: ["24:00:00", "00:60:00", "00:00:61", "-1:00:00", "9223372036854775807:00:00"])
    func `a Date header that no clock shows is none`(time: String) {
        #expect(Timestamps.httpDate("Sun, 22 Nov 2026 \(time) GMT") == nil)
    }

    @Test func `C2 foreign words lose secrets, control characters and length`() {
        let redactor = Redactor([Secret("e2b_00aa"), Secret("tok_secret")])
        let rest = String(repeating: "x", count: 999)
        let words = redactor.words("bad e2b_00aa,\r\ntok_secret e2b_ffff00 \u{1B}[0m\(rest)")
        #expect(words.hasPrefix("bad ***,  *** e2b_***  [0m"))
        #expect(words.unicodeScalars.count == 200)
    }

    @Test func `labels survive the way through metadata, and none are made up`() throws {
        let labels = try CreateRequest.sample().labels
        let metadata = LabelMetadata.metadata(of: labels)
        #expect(LabelMetadata.labels(in: metadata) == labels)
        #expect(Set(metadata.keys) == SandboxLabels.reservedMetadataNames)
        for name in metadata.keys {
            #expect(LabelMetadata.labels(in: metadata.filter { $0.key != name }) == nil)
        }
        #expect(LabelMetadata.labels(in: metadata.merging(["user_id": "mallory"]) { $1 }) == nil)
    }

    @Test func `the key's digest is SHA-256 in hex`() {
        #expect(
            LabelMetadata.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
    }

    @Test func `the table of session ends stays bounded`() {
        let ends = SessionEnds(limit: 3)
        let now = MonotonicInstant(sinceZero: .seconds(100))
        for number in 0..<50 { ends.learn(SandboxID("i\(number)"), now + .seconds(number), now: now) }
        #expect(ends.count <= 3)
        #expect(ends[SandboxID("i49")] == now + .seconds(49))
    }
}
