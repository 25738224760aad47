internal import SandboxCore

/// Writes JSON objects straight into bytes; the hot path makes no intermediate values.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    /// One object, written by `body`.
    static func object(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(body)
        return writer.bytes
    }

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "{"))
        body(&self)
        close(UInt8(ascii: "}"))
    }

    mutating func field(_ name: StaticString, _ text: String) {
        key(name)
        string(text)
    }

    mutating func field(_ name: StaticString, _ text: String?) {
        guard let text else { return null(name) }
        field(name, text)
    }

    mutating func field(_ name: StaticString, _ number: Int) {
        key(name)
        raw(String(number))
    }

    mutating func field(_ name: StaticString, _ number: Int?) {
        guard let number else { return null(name) }
        field(name, number)
    }

    mutating func field(_ name: StaticString, _ number: Double) {
        key(name)
        raw(number.isFinite ? "\(number)" : "0")
    }

    mutating func field(_ name: StaticString, _ flag: Bool) {
        key(name)
        raw(flag ? "true" : "false")
    }

    mutating func field(_ name: StaticString, _ time: WallTime) {
        key(name)
        bytes.append(UInt8(ascii: "\""))
        Timestamp.append(time, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    mutating func field(_ name: StaticString, object body: (inout JSONWriter) -> Void) {
        key(name)
        object(body)
    }

    mutating func field<Items: Sequence>(
        _ name: StaticString,
        array items: Items,
        _ body: (inout JSONWriter, Items.Element) -> Void
    ) {
        key(name)
        open(UInt8(ascii: "["))
        for item in items { object { body(&$0, item) } }
        close(UInt8(ascii: "]"))
    }

    mutating func field(_ name: StaticString, texts: [String]) {
        key(name)
        open(UInt8(ascii: "["))
        for text in texts {
            if needsComma { bytes.append(UInt8(ascii: ",")) }
            string(text)
        }
        close(UInt8(ascii: "]"))
    }

    mutating func null(_ name: StaticString) {
        key(name)
        raw("null")
    }

    private mutating func open(_ bracket: UInt8) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func key(_ name: StaticString) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        // The value follows without a comma; what comes after it needs one.
        needsComma = false
    }

    private mutating func raw(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        // Nearly all text is copied as a whole.
        if text.utf8.contains(where: Self.needsEscape) { escape(text) } else { bytes.append(contentsOf: text.utf8) }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 32 || byte == 127 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
            case 0..<32, 127:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: "\\u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
            default: bytes.append(byte)
            }
        }
    }
}
