/// Any JSON value.
enum JSONValue: Equatable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])
}

/// Reads one JSON text to the letter of RFC 8259, in time proportional to its length.
///
/// Foundation's decoder is not used because it runs on the server's thread: 64 KiB of small values keep it busy for the
/// better part of a second when the type is not known beforehand, and it lets pass what the RFC does not allow (other
/// encodings, trailing commas, one name twice).
struct JSONReader {
    /// Why a text is refused; never holds any of it, as it may be secret.
    enum Fault: Error, Equatable {
        case malformed
        case notUTF8
        case tooDeep
        case repeatedName
    }

    /// How deep lists and objects may be nested. No body needs more than 2; the stack has room for thousands.
    static let deepest = 32

    private let bytes: [UInt8]
    private var position = 0

    static func read(_ bytes: [UInt8]) throws(Fault) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.peek == nil else { throw .malformed }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    // MARK: Values

    private mutating func value(depth: Int) throws(Fault) -> JSONValue {
        skipBlanks()
        switch peek {
        case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
        case UInt8(ascii: "["): return .list(try elements(depth: depth + 1))
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "t"): return try literal("true", .flag(true))
        case UInt8(ascii: "f"): return try literal("false", .flag(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func members(depth: Int) throws(Fault) -> [String: JSONValue] {
        guard depth <= Self.deepest else { throw .tooDeep }
        var members: [String: JSONValue] = [:]
        position += 1
        skipBlanks()
        if take(UInt8(ascii: "}")) { return members }
        repeat {
            skipBlanks()
            guard peek == UInt8(ascii: "\"") else { throw .malformed }
            let name = try string()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw .malformed }
            // Of two values of one name, one would be ignored.
            guard members.updateValue(try value(depth: depth), forKey: name) == nil else { throw .repeatedName }
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw .malformed }
        return members
    }

    private mutating func elements(depth: Int) throws(Fault) -> [JSONValue] {
        guard depth <= Self.deepest else { throw .tooDeep }
        var elements: [JSONValue] = []
        position += 1
        skipBlanks()
        if take(UInt8(ascii: "]")) { return elements }
        repeat {
            elements.append(try value(depth: depth))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw .malformed }
        return elements
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(Fault) -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, "\(word)".utf8.elementsEqual(bytes[position..<end]) else { throw .malformed }
        position = end
        return value
    }

    // MARK: Numbers

    private mutating func number() throws(Fault) -> Double {
        let start = position
        _ = take(UInt8(ascii: "-"))
        // No leading zeros.
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        // Too great a number becomes infinite.
        guard let number = Double(String(decoding: bytes[start..<position], as: UTF8.self)) else { throw .malformed }
        return number
    }

    private mutating func digits() throws(Fault) {
        let start = position
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw .malformed }
    }

    // MARK: Strings

    private mutating func string() throws(Fault) -> String {
        position += 1
        var text: [UInt8] = []
        while true {
            let start = position
            while let byte = peek, byte >= 32, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { position += 1 }
            text += bytes[start..<position]
            if take(UInt8(ascii: "\"")) { break }
            guard take(UInt8(ascii: "\\")) else { throw .malformed }
            try appendEscaped(to: &text)
        }
        guard let string = String(validating: text, as: UTF8.self) else { throw .notUTF8 }
        return string
    }

    private mutating func appendEscaped(to text: inout [UInt8]) throws(Fault) {
        guard let byte = peek else { throw .malformed }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"): text += try scalar().utf8
        default: throw .malformed
        }
    }

    /// The scalar behind `\u`, made of two such escapes if it lies beyond the first 65,536.
    private mutating func scalar() throws(Fault) -> Unicode.Scalar {
        let first = try unit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw .malformed }
        let second = try unit()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw .malformed }
        return scalar
    }

    private mutating func unit() throws(Fault) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = hexDigit(byte) else { throw .malformed }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 32 || byte == 10 || byte == 13 || byte == 9 { position += 1 }
    }
}

/// The value of a hexadecimal digit of either case.
func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
