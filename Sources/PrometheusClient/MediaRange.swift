/// One element of an `Accept` header (RFC 9110, 12.5.1), with everything that is compared already in lower case.
struct MediaRange {
    let type: String
    let subtype: String
    /// `version` and `charset` if given; other parameters do not matter here.
    private(set) var version: String?
    private(set) var charset: String?
    /// From 0 (never) to 1.
    private(set) var quality = 1.0

    /// Nil if the element is not `type/subtype`, or its quality is malformed: then it says nothing to rely on.
    init?(_ element: Substring) {
        var parts = Self.split(element, at: ";")[...]
        let names = parts.removeFirst().trimmed.lowercased().split(separator: "/", omittingEmptySubsequences: false)
        guard names.count == 2, names.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isTokenByte) }) else {
            return nil
        }
        type = String(names[0])
        subtype = String(names[1])
        guard type != "*" || subtype == "*" else { return nil }
        for part in parts {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let value = Self.unquoted(part[part.index(after: equals)...].trimmed)
            switch part[..<equals].trimmed.lowercased() {
            case "q":
                guard let quality = Self.quality(value) else { return nil }
                self.quality = quality
                return  // what follows q belongs to the Accept extension, not to the media type
            case "version": version = version ?? value
            case "charset": charset = charset ?? value
            default: continue
            }
        }
    }

    /// Splits at `separator` except inside quoted strings.
    static func split(_ text: Substring, at separator: Character) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var isQuoted = false
        var isEscaped = false
        for index in text.indices {
            let character = text[index]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if !isQuoted, character == separator {
                parts.append(text[start..<index])
                start = text.index(after: index)
            }
        }
        return parts + [text[start...]]
    }

    private static func unquoted(_ value: Substring) -> String {
        guard value.count >= 2, value.first == "\"", value.last == "\"" else { return value.lowercased() }
        return value.dropFirst().dropLast().lowercased()
    }

    /// `0` or `1`, with at most three decimals; RFC 9110 allows nothing else.
    private static func quality(_ text: String) -> Double? {
        let digits = text.utf8
        guard let first = digits.first, first == UInt8(ascii: "0") || first == UInt8(ascii: "1") else { return nil }
        let fraction = digits.dropFirst()
        if let point = fraction.first {
            let decimals = fraction.dropFirst()
            guard point == UInt8(ascii: "."), decimals.count <= 3,
                decimals.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
            else { return nil }
        }
        guard let value = Double(text.hasSuffix(".") ? text + "0" : text), value <= 1 else { return nil }
        return value
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmed: Substring {
        var rest = Substring(self)
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}
