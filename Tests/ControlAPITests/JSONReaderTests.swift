import Foundation
import Testing

@testable import ControlAPI

@Suite struct JSONReaderTests {
    private func read(_ text: String) throws(JSONReader.Fault) -> JSONValue { try JSONReader.read(Array(text.utf8)) }

    @Test(arguments: [
        ("null", JSONValue.null), ("true", .flag(true)), (" false\n", .flag(false)), ("0", .number(0)),
        ("-0", .number(0)),
        ("-12.5e+2", .number(-1250)), ("1E-2", .number(0.01)), ("1e999", .number(.infinity)), (#""""#, .text("")),
        ("[]", .list([])), ("[ ]", .list([])), ("{ }", .object([:])),
        ("[1,[2]]", .list([.number(1), .list([.number(2)])])),
        (#"{ "a" : { "b" : [ null ] } , "" : "x" }"#, .object(["a": .object(["b": .list([.null])]), "": .text("x")])),
        (#""\ud83d\ude00\u0000\/é""#, .text("😀\0/é")),
    ])
    func `a text is read`(text: String, value: JSONValue) throws {
        #expect(try read(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "tru", "01", "-", "+1", "1.", ".1", "1e", "1e+", "--1", "0x1", "1 2", "[1 2]",
        "[1,]",
        "[,1]", "[,]", "[", "]", "{", "}", "[}", "{]", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,}"#, #"{1:2}"#,
        #"{"a" 1}"#,
        #""a"#, #"""#, #""\"#, #""\u12"#, #""\u123x""#, #""\ud800""#, #""\udc00\ud800""#, #""\ud800\ud800""#, "'a'",
        "\u{A0}1",
        "\u{FEFF}1", "1//", "/**/1", "NaN", "Infinity", "\"\u{1F}\"", "1\0",
    ])
    func `anything that is no JSON is refused`(text: String) {
        #expect(throws: JSONReader.Fault.malformed) { try read(text) }
    }

    @Test func `nesting is followed so far and no further`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try read(nested(JSONReader.deepest))
        #expect(throws: JSONReader.Fault.tooDeep) { try read(nested(JSONReader.deepest + 1)) }
        #expect(throws: JSONReader.Fault.tooDeep) { try read(String(repeating: "[", count: 1_000_000)) }
    }

    @Test func `every text cut short is refused`() throws {
        let whole = Array(#"{"a":[1.5e3,true,null,"\u00e9\n"],"b":{"c":-2}}"#.utf8)
        _ = try JSONReader.read(whole)
        for count in 0..<whole.count {
            #expect(throws: JSONReader.Fault.malformed) { try JSONReader.read(Array(whole[..<count])) }
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `what another program writes is read as it was meant`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let value = Self.value(&random, depth: 0)
        let options: JSONSerialization.WritingOptions = Bool.random(using: &random) ? [.prettyPrinted] : []
        let data = try JSONSerialization.data(withJSONObject: ["root": Self.foreign(value)], options: options)
        #expect(try JSONReader.read(Array(data)) == .object(["root": value]), "seed \(seed)")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a damaged text is refused or read, never more`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let data = try JSONSerialization.data(withJSONObject: ["root": Self.foreign(Self.value(&random, depth: 0))])
        for _ in 0..<50 {
            var bytes = Array(data)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            // The other reader refuses numbers that it cannot represent, which is no question of the grammar.
            guard let value = try? JSONReader.read(bytes), !Self.hasInfinity(value) else { continue }
            // Whatever is let pass is also JSON to another reader.
            #expect(throws: Never.self, "seed \(seed): \(value)") {
                try JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
            }
        }
    }

    private static func hasInfinity(_ value: JSONValue) -> Bool {
        switch value {
        case .number(let number): number.isInfinite
        case .list(let elements): elements.contains(where: hasInfinity)
        case .object(let members): members.values.contains(where: hasInfinity)
        case .null, .flag, .text: false
        }
    }

    private static func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 4 ? 6 : 4), using: &random) {
        case 0: return .null
        case 1: return .flag(Bool.random(using: &random))
        case 2: return .number(Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 64)
        case 3: return .text(text(&random))
        case 4: return .list((0..<Int.random(in: 0...4, using: &random)).map { _ in value(&random, depth: depth + 1) })
        default:
            var members: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                members[text(&random)] = value(&random, depth: depth + 1)
            }
            return .object(members)
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        let scalars = (0..<Int.random(in: 0...8, using: &random)).compactMap { _ in
            Unicode.Scalar(UInt32.random(in: 0...(Bool.random(using: &random) ? 0x7F : 0x1F9FF), using: &random))
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private static func foreign(_ value: JSONValue) -> Any {
        switch value {
        case .null: NSNull()
        case .flag(let flag): flag
        case .number(let number): number
        case .text(let text): text
        case .list(let list): list.map(foreign)
        case .object(let members): members.mapValues(foreign)
        }
    }
}
