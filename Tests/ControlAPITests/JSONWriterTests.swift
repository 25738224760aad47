import Foundation
import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct JSONWriterTests {
    private func text(_ body: (inout JSONWriter) -> Void) -> String {
        String(decoding: JSONWriter.object(body), as: UTF8.self)
    }

    @Test func `members are separated by commas and nothing else`() {
        #expect(text { _ in } == "{}")
        #expect(text { $0.field("a", 1) } == #"{"a":1}"#)
        let all = text { json in
            json.field("text", "x")
            json.field("none", nil as String?)
            json.field("number", -7)
            json.field("nothing", nil as Int?)
            json.field("half", 0.5)
            json.field("flag", false)
            json.null("null")
            json.field("time", WallTime(sinceEpoch: .milliseconds(1)))
            json.field("inner") { inner in
                inner.field("a", "b")
                inner.field("empty") { _ in }
                inner.field("c", 2)
            }
            json.field("none_at_all", array: [] as [Int]) { _, _ in }
            json.field("many", array: [1, 2]) { $0.field("n", $1) }
            json.field("last", true)
        }
        #expect(
            all == #"{"text":"x","none":null,"number":-7,"nothing":null,"half":0.5,"flag":false,"null":null,"#
                + #""time":"1970-01-01T00:00:00.001Z","inner":{"a":"b","empty":{},"c":2},"none_at_all":[],"#
                + #""many":[{"n":1},{"n":2}],"last":true}"#
        )
    }

    @Test(arguments: [
        (#"""#, #"\""#), (#"\"#, #"\\"#), ("\n\r\t", #"\n\r\t"#), ("\0", #"\u0000"#), ("\u{1}\u{1F}", #"\u0001\u001f"#),
        ("\u{7F}", #"\u007f"#), ("/", "/"), ("é😀\u{2028}", "é😀\u{2028}"), ("", ""),
    ])
    func `text is escaped`(raw: String, escaped: String) {
        #expect(text { $0.field("t", raw) } == #"{"t":"\#(escaped)"}"#)
    }

    @Test(arguments: [Double.infinity, -.infinity, .nan])
    func `a number that JSON lacks becomes 0`(number: Double) {
        #expect(text { $0.field("n", number) } == #"{"n":0}"#)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `another parser reads back what was written`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let scalars = (0..<200).compactMap { _ in
            Unicode.Scalar(UInt32.random(in: 0...(Bool.random(using: &random) ? 0x80 : 0x10FFFF), using: &random))
        }
        let written = String(String.UnicodeScalarView(scalars))
        let numbers = [
            Double.random(in: -1e300...1e300, using: &random), Double.leastNonzeroMagnitude, -0.0, 1e16,
            123_456_789.125,
        ]
        let body = JSONWriter.object { json in
            json.field("text", written)
            json.field("whole", Int(truncatingIfNeeded: random.next()))
            json.field("numbers", array: numbers) { $0.field("n", $1) }
        }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
        // Compared as scalars: equality of strings would forgive a change of normal form.
        let read = try #require(object["text"] as? String)
        #expect(Array(read.unicodeScalars) == Array(written.unicodeScalars), "seed \(seed)")
        let values = try #require(object["numbers"] as? [[String: Any]])
        #expect(values.compactMap { ($0["n"] as? NSNumber)?.doubleValue } == numbers, "seed \(seed)")
    }
}

extension JSONWriterTests {
    @Test func `an array of texts is escaped like any text`() {
        let bytes = JSONWriter.object { json in
            json.field("none", texts: [])
            json.field("some", texts: ["a", "b\"\n"])
            json.field("after", 1)
        }
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"none":[],"some":["a","b\"\n"],"after":1}"#)
    }
}
