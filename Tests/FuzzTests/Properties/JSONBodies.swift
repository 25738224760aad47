import Foundation
import SandboxCore

@testable import ControlAPI

extension FuzzTarget {
    /// Bodies of requests: our reader against Foundation's, and what requests are made of them.
    static let jsonBodies = FuzzTarget(name: "json-bodies") { bytes in
        guard bytes.count <= 65_536 else { return [] }
        return readerFindings(bytes) + requestFindings(bytes)
    }

    /// Texts and numbers of all kinds, written and read back.
    static let jsonWriter = FuzzTarget(name: "json-writer") { bytes in
        var dice = Dice(bytes)
        let (text, other) = (dice.text(), dice.text())
        let (number, fraction) = (Int(truncatingIfNeeded: dice.word()), Double(bitPattern: dice.word()))
        let time = WallTime(sinceEpoch: .microseconds(Int64(truncatingIfNeeded: dice.word())))
        let written = JSONWriter.object { writer in
            writer.field("text", text)
            writer.field("texts", texts: [other, text])
            writer.field("number", number)
            writer.field("fraction", fraction)
            writer.field("time", time)
            writer.field("object") { $0.field("none", nil as String?) }
        }
        var findings = Findings()
        let expected: [String: JSONValue] = [
            "text": .text(text), "texts": .list([.text(other), .text(text)]), "number": .number(Double(number)),
            "fraction": .number(fraction.isFinite ? fraction : 0), "time": .text(Timestamp.format(time)),
            "object": .object(["none": .null]),
        ]
        findings.expectEqual(try? JSONReader.read(written), .object(expected), "what was written")
        findings.expect(written.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control character in a reply")
        findings.expectEqual(Timestamp.format(time).utf8.count, 24, "the length of a time")
        return findings.words
    }

    private static func readerFindings(_ bytes: [UInt8]) -> [String] {
        var findings = Findings()
        do throws(JSONReader.Fault) {
            let value = try JSONReader.read(bytes)
            let oracle = try? JSONDecoder().decode(AnyJSON.self, from: Data(bytes)).value
            // Foundation refuses numbers that are too great, or too near to zero, and `0e1`. Here those that are too great
            // are infinite, so that whoever wants a number refuses them, and the others are zero.
            if oracle == nil, value.hasExtreme { return [] }
            findings.expectEqual(oracle, value, "Foundation's")
        } catch {
            // What Foundation takes and RFC 8259 does not.
            guard error == .malformed, String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0),
                !bytes.starts(with: [0xEF, 0xBB, 0xBF]), !hasCommaBeforeEnd(bytes)
            else { return [] }
            findings.expect(
                (try? JSONDecoder().decode(AnyJSON.self, from: Data(bytes))) == nil,
                "refused, though Foundation reads it"
            )
        }
        return findings.words
    }

    private static func hasCommaBeforeEnd(_ bytes: [UInt8]) -> Bool {
        let dense = bytes.filter { ![9, 10, 13, 32].contains($0) }
        return zip(dense, dense.dropFirst()).contains {
            $0 == UInt8(ascii: ",") && [UInt8(ascii: "]"), UInt8(ascii: "}")].contains($1)
        }
    }

    private static func requestFindings(_ bytes: [UInt8]) -> [String] {
        var findings = Findings()
        if let options = try? RequestBody.acquireOptions(bytes), (try? options.validate(maxAge: .seconds(3600))) != nil
        {
            if let idle = options.idleTimeout {
                findings.expect(idle >= .seconds(15) && idle <= .seconds(3600), "an idle timeout of \(idle)")
            }
            for name in options.metadata.keys {
                findings.expect(!name.hasPrefix("sandbox_manager_"), "a reserved label (S3)")
                findings.expect(name != "user_id" && name != "project_id", "an owner's label (S3)")
            }
        }
        if let request = try? RequestBody.execRequest(bytes) {
            findings.expect(request.command.first?.isEmpty == false, "a command without a program")
            findings.expect(request.command.allSatisfy { !$0.utf8.contains(0) }, "a NUL in a command")
            findings.expect(
                request.timeout > .zero && request.timeout <= .seconds(3600),
                "a time of \(request.timeout)"
            )
        }
        return findings.words
    }
}

extension JSONValue {
    fileprivate var hasExtreme: Bool {
        switch self {
        case .number(let number): number.isInfinite || number == 0
        case .list(let items): items.contains(where: \.hasExtreme)
        case .object(let members): members.values.contains(where: \.hasExtreme)
        case .null, .flag, .text: false
        }
    }
}

/// Any JSON value, as Foundation reads it.
private struct AnyJSON: Decodable {
    let value: JSONValue

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            value = .null
        } else if let flag = try? single.decode(Bool.self) {
            value = .flag(flag)
        } else if let number = try? single.decode(Double.self) {
            value = .number(number)
        } else if let text = try? single.decode(String.self) {
            value = .text(text)
        } else if let items = try? single.decode([AnyJSON].self) {
            value = .list(items.map(\.value))
        } else {
            value = .object(try single.decode([String: AnyJSON].self).mapValues(\.value))
        }
    }
}
