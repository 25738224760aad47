/// What stands in place of a secret in every report.
let mask = "****"

/// The URL without its user-info and without the values of its query, except the database number.
///
/// Everything up to the *last* `@` goes, as a password may hold a raw `/`, `?` or `@` (S6).
func redactedURL(_ text: String) -> String {
    guard let separator = text.firstRange(of: "://") else {
        return text.contains("@") || text.contains("?") ? mask : text
    }
    let scheme = text[..<separator.upperBound]
    var rest = text[separator.upperBound...]
    var userInfo = ""
    if let end = rest.lastIndex(of: "@") {
        userInfo = ":\(mask)@"
        rest = rest[rest.index(after: end)...]
    }
    guard let question = rest.firstIndex(of: "?") else { return scheme + userInfo + rest }
    let query = rest[rest.index(after: question)...].split(separator: "&").map { pair in
        guard !pair.hasPrefix("db=") else { return String(pair) }
        let name = pair.prefix { $0 != "=" }
        return "\(name)=\(mask)"
    }
    return scheme + userInfo + rest[...question] + query.joined(separator: "&")
}

/// The text with control characters escaped and cut to a length that a report line can carry.
func printable(_ text: String, limit: Int = 80) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        guard result.unicodeScalars.count < limit else { return result + "…" }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}
