import Foundation
import Logging
import SandboxCore
import Testing

@testable import SystemRuntime

@Suite struct LineLogHandlerTests {
    private let time = WallTime(sinceEpoch: .seconds(951_827_696) + .milliseconds(7))
    private static let hostile = [
        "two\nlines", "cr\rlf\r\n", "\"quoted\"", "back\\slash", "tab\t", "\0\u{1B}[31mred", "\u{2028}\u{2029}",
        "\u{85}",
        "\u{9B}31m", "\u{7F}", "a=b", " ", "", "é😀",
    ]

    private func line(
        _ format: LineLogHandler.Format,
        _ message: String,
        _ metadata: Logger.Metadata = [:]
    ) -> String {
        LineLogHandler(label: "test", format: format, level: .info)
            .render(level: .info, message: message, metadata: metadata, at: time)
    }

    @Test func `a line of text reads well`() {
        let metadata: Logger.Metadata = ["key": "u:p", "status": "200", "words": "two words", "empty": ""]
        #expect(
            line(.text, "created a sandbox", metadata)
                == "2000-02-29T12:34:56.007Z info created a sandbox empty=\"\" key=u:p status=200 words=\"two words\"\n"
        )
    }

    @Test func `a line of JSON is an object`() throws {
        let text = line(.json, "created", ["key": "u:p", "list": ["a", "b"]])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String])
        #expect(object["time"] == "2000-02-29T12:34:56.007Z")
        #expect(object["level"] == "info")
        #expect(object["logger"] == "test")
        #expect(object["message"] == "created")
        #expect(object["key"] == "u:p")
        #expect(object["list"] == #"["a", "b"]"#)
    }

    @Test(arguments: hostile, [LineLogHandler.Format.text, .json])
    func `M6 one event is one line, whatever it holds`(text: String, format: LineLogHandler.Format) {
        let lines = [
            line(format, text), line(format, "m", ["key": "\(text)"]), line(format, "m", ["\(text)": "value"]),
        ]
        for line in lines {
            #expect(line.hasSuffix("\n"))
            let breaks = line.unicodeScalars.dropLast().filter { scalar in
                scalar.value < 32 || (127..<160).contains(scalar.value) || [0x2028, 0x2029].contains(scalar.value)
            }
            #expect(breaks.isEmpty, "\(line)")
        }
    }

    @Test(arguments: hostile)
    func `JSON gives back what was logged`(text: String) throws {
        let line = line(.json, text, ["value": "\(text)", "k\(text)": "x"])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(Array((object["message"] ?? "?").unicodeScalars) == Array(text.unicodeScalars))
        #expect(Array((object["value"] ?? "?").unicodeScalars) == Array(text.unicodeScalars))
        #expect(object.count == 6)
    }

    @Test func `a value cannot pass for another field`() {
        let text = line(.text, "refused", ["reason": "x level=error user=\"root\""])
        #expect(text.hasSuffix(#" refused reason="x level=error user=\"root\"""# + "\n"))
        #expect(line(.text, "refused user=root").contains(#" "refused user=root""#))
    }

    @Test func `metadata cannot replace the fields of every line`() throws {
        let names = ["time", "level", "logger", "message"]
        let metadata = Logger.Metadata(uniqueKeysWithValues: names.map { ($0, "forged") })
        let text = line(.json, "true", metadata)
        for name in names { #expect(text.components(separatedBy: "\"\(name)\":").count == 2, "\(text)") }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String])
        #expect(object["message"] == "true")
        #expect(object["level"] == "info")
        #expect(object.values.count { $0 == "forged" } == 4)
    }

    @Test func `an error beside the message is told`() {
        struct Broken: Error {}
        let handler = LineLogHandler(label: "test", format: .text, level: .info)
        let event = LogEvent(
            level: .error,
            message: "failed",
            error: Broken(),
            metadata: ["key": "value"],
            source: "test",
            file: #fileID,
            function: #function,
            line: #line
        )
        #expect(handler.render(event, at: time).hasSuffix("error failed error=Broken() key=value\n"))
    }
}
