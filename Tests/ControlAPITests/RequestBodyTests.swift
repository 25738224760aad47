import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct RequestBodyTests {
    @Suite struct Acquire {
        private func read(_ body: String) throws(ManagerError) -> AcquireOptions {
            try RequestBody.acquireOptions(Array(body.utf8))
        }

        @Test(arguments: ["", "{}", " {\n} ", #"{"template":null,"metadata":null,"envs":null,"timeout_seconds":null}"#])
        func `no wish is the default`(body: String) throws {
            #expect(try read(body) == AcquireOptions())
        }

        @Test func `every field is read`() throws {
            let options = try read(
                #"{"template":"base","metadata":{"a":"b","":""},"envs":{"X":"1"},"timeout_seconds":12.5}"#
            )
            #expect(options.template == "base")
            #expect(options.metadata == ["a": "b", "": ""])
            #expect(options.environment == ["X": Secret("1")])
            #expect(options.idleTimeout == .milliseconds(12_500))
        }

        @Test(arguments: [
            "[]", "1", "null", "true", #""text""#, "{", "}", "{]", #"{"template""#, #"{"template":}"#, "{'a':1}",
            "{a:1}",
            "nonsense", #"{"template":"a",}"#, "{} {}", "{}x", " ", "\u{FEFF}{}", "\0{}", "{}\0", "{}//", "NaN",
        ])
        func `what is no JSON object is refused`(body: String) {
            #expect(performing { try read(body) } == .invalidArgument)
        }

        @Test(arguments: [
            #"{"template":1}"#, #"{"template":{}}"#, #"{"template":["base"]}"#, #"{"template":true}"#,
            #"{"metadata":"a"}"#, #"{"metadata":[]}"#, #"{"metadata":{"a":1}}"#, #"{"metadata":{"a":null}}"#,
            #"{"metadata":{"a":{}}}"#, #"{"envs":1}"#, #"{"envs":{"A":false}}"#, #"{"envs":["A=1"]}"#,
            #"{"timeout_seconds":"60"}"#, #"{"timeout_seconds":true}"#, #"{"timeout_seconds":[60]}"#,
            #"{"timeout_seconds":NaN}"#, #"{"timeout_seconds":Infinity}"#, #"{"timeout_seconds":1e999}"#,
            #"{"timeout_seconds":-1e999}"#, #"{"timeout_seconds":1e300}"#, #"{"timeout_seconds":1000000000}"#,
            #"{"timeout_seconds":012}"#, #"{"timeout_seconds":0x10}"#, #"{"timeout_seconds":.5}"#,
            #"{"timeout_seconds":+5}"#, #"{"timeout_seconds":5.}"#,
        ])
        func `a wrong type is refused`(body: String) {
            #expect(performing { try read(body) } == .invalidArgument)
        }

        @Test(arguments: [
            #"{"Template":"a"}"#, #"{"timeout":1}"#, #"{"env":{}}"#, #"{"command":[]}"#, #"{"x":null}"#, #"{"":1}"#,
        ])
        func `an unknown field is refused and named`(body: String) throws {
            let error = #expect(throws: ManagerError.self) { try read(body) }
            guard case .invalidArgument(let words) = try #require(error) else { return }
            #expect(words.hasPrefix("unknown field"))
        }

        @Test func `the name of an unknown field is shown short and printable`() throws {
            let name = String(repeating: "é", count: 500)
            let error = #expect(throws: ManagerError.self) { try read("{\"a\\nb\\u0000\(name)\":1}") }
            guard case .invalidArgument(let words) = try #require(error) else { return }
            #expect(words.utf8.count < 100)
            #expect(words.utf8.allSatisfy { $0 >= 32 && $0 < 127 })
        }

        @Test(arguments: [
            #"{"template":"a","template":"b"}"#, #"{"metadata":{"a":"1","a":"2"}}"#,
            #"{"envs":{"A":"1","\u0041":"2"}}"#,
        ])
        func `a field given twice is refused, as one of the two would be ignored`(body: String) {
            #expect(performing { try read(body) } == .invalidArgument)
        }

        @Test func `a body of tens of thousands of values does not hold up the server's thread`() {
            let bodies = ["1", "{}", "[]", "\"\"", "null"].map { value in
                "{\"a\":[" + Array(repeating: value, count: 20_000).joined(separator: ",") + "]}"
            }
            for body in bodies {
                let took = ContinuousClock().measure {
                    #expect(performing { try read(body) } == .invalidArgument)
                }
                #expect(took < .seconds(10), "\(body.prefix(10))")
            }
        }

        @Test(arguments: ["[", #"{"metadata":"#, #"{"a":["#])
        func `nesting without end is refused, not followed`(opening: String) {
            let body = String(repeating: opening, count: 10_000)
            #expect(performing { try read(body) } == .invalidArgument)
            let closing = opening == "[" ? "]" : opening == #"{"a":["# ? "]}" : "}"
            let whole = body + (opening == #"{"metadata":"# ? "1" : "") + String(repeating: closing, count: 10_000)
            #expect(performing { try read(whole) } == .invalidArgument)
        }

        @Test func `bytes that are no UTF-8 are refused`() {
            for bytes: [UInt8] in [[0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xC0, 0xAF]] {
                let body = Array(#"{"template":""#.utf8) + bytes + Array(#""}"#.utf8)
                #expect(performing { try RequestBody.acquireOptions(body) } == .invalidArgument)
            }
        }

        @Test func `other encodings of Unicode are refused`() {
            let text = #"{"template":"a"}"#
            let wide = text.utf8.flatMap { byte -> [UInt8] in [byte, 0] }
            let wider = text.utf8.flatMap { byte -> [UInt8] in [0, 0, 0, byte] }
            for body in [wide, [0xFF, 0xFE] + wide, wider] {
                #expect(performing { try RequestBody.acquireOptions(body) } == .invalidArgument)
            }
        }

        @Test(arguments: [
            #""\ud800""#, #""\ud800\u0041""#, #""\udc00""#, #""\x""#, #""\u12g4""#, "\"\n\"", "\"\u{1}\"",
        ])
        func `a broken string is refused`(text: String) {
            #expect(performing { try read("{\"template\":\(text)}") } == .invalidArgument)
        }

        @Test func `escapes in strings are understood`() throws {
            #expect(
                try read(#"{"template":"\u0041\ud83d\ude00\"\\\/\b\f\n\r\t"}"#).template == "A😀\"\\/\u{8}\u{C}\n\r\t"
            )
        }

        @Test func `of several faults always the same one is told`() {
            let body = "{" + (0..<20).map { "\"unknown\($0)\":1" }.joined(separator: ",") + "}"
            let told = Set((0..<20).map { _ in performingWords { try read(body) } })
            #expect(told == ["unknown field unknown0"])
        }

        @Test(arguments: ["user_id", "project_id", "sandbox_manager_token", "sandbox_manager_key"])
        func `the manager's own metadata names are refused`(name: String) throws {
            let options = try read(#"{"metadata":{"\#(name)":"x"}}"#)
            #expect(
                performing { try options.validate(maxAge: .seconds(3600)) } == .invalidArgument
            )
        }

        @Test func `a refusal repeats no secret`() throws {
            for body in [#"{"envs":{"K":"hunter2"}"#, #"{"envs":{"K":["hunter2"]}}"#, #"{"envs":"hunter2"}"#] {
                #expect(!performingWords { try read(body) }.contains("hunter2"))
            }
        }
    }

    @Suite struct Exec {
        private func read(_ body: String) throws(ManagerError) -> ExecRequest {
            try RequestBody.execRequest(Array(body.utf8))
        }

        @Test func `every field is read`() throws {
            let request = try read(#"{"command":["sh","-c","é"],"stdin":"in\u0000","timeout_seconds":0.25}"#)
            #expect(request.command == ["sh", "-c", "é"])
            #expect(request.standardInput == Array("in\0".utf8))
            #expect(request.timeout == .milliseconds(250))
        }

        @Test(arguments: [#"{"command":["true"]}"#, #"{"command":["true"],"stdin":null,"timeout_seconds":null}"#])
        func `what is left out or null has its default`(body: String) throws {
            let request = try read(body)
            #expect(request.standardInput.isEmpty)
            #expect(request.timeout == .seconds(60))
        }

        @Test(arguments: [
            "", "{}", "[]", #"{"command":null}"#, #"{"command":"ls"}"#, #"{"command":[]}"#, #"{"command":[""]}"#,
            #"{"command":[1]}"#, #"{"command":[null]}"#, #"{"command":["a",["b"]]}"#, #"{"command":["a\u0000"]}"#,
            #"{"command":["a","b\u0000"]}"#, #"{"command":["a"],"stdin":1}"#, #"{"command":["a"],"timeout_seconds":0}"#,
            #"{"command":["a"],"timeout_seconds":-1}"#, #"{"command":["a"],"timeout_seconds":3601}"#,
            #"{"command":["a"],"timeout_seconds":1e-30}"#, #"{"command":["a"],"timeout_seconds":"1"}"#,
            #"{"command":["a"],"timeout":1}"#, #"{"command":["a"],"user":"root"}"#,
        ])
        func `anything else is refused`(body: String) {
            #expect(performing { try read(body) } == .invalidArgument)
        }

        @Test func `the longest time limit is allowed`() throws {
            #expect(try read(#"{"command":["a"],"timeout_seconds":3600}"#).timeout == .seconds(3600))
        }
    }
}
