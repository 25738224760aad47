/// The `metadata` query parameter of a listing.
///
/// The server decodes three times: the parameter, the whole string, then each key and value. So each key and value is
/// encoded twice, and what joins them once.
enum MetadataFilter {
    /// The parameter's value, ready for a URL; every pair must match.
    static func encode(_ pairs: [(String, String)]) -> String {
        let joined = pairs.map { "\(percent(percent($0.0)))=\(percent(percent($0.1)))" }.joined(separator: "&")
        return percent(joined)
    }

    /// Percent-encodes all but the unreserved characters of RFC 3986.
    static func percent(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            if isUnreserved(byte) {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }

    /// Whether the layers of encoding leave it as it is.
    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
