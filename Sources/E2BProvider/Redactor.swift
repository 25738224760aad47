internal import SandboxCore

/// Makes a foreign text fit for logs and errors: no secret, no control character, not long.
struct Redactor: Sendable {
    private static let longest = 200
    private let secrets: [Secret]

    /// Masks these wherever they occur, and everything that looks like a key of the platform.
    init(_ secrets: [Secret]) { self.secrets = secrets }

    func also(_ more: [Secret?]) -> Redactor { Redactor(secrets + more.compactMap(\.self)) }

    func words(_ text: String) -> String {
        var text = text
        for secret in secrets where secret.reveal().utf8.count >= 4 {
            text = text.split(separator: secret.reveal(), omittingEmptySubsequences: false).joined(separator: "***")
        }
        text = Self.masking(text, after: "e2b_")
        let scalars = text.unicodeScalars.lazy
            .map { $0.value < 0x20 || $0.value == 0x7F || (0x80..<0xA0).contains($0.value) ? " " : $0 }
            .prefix(Self.longest)
        var words = ""
        words.unicodeScalars.append(contentsOf: scalars)
        return words
    }

    /// Masks what follows the prefix of a key: somebody else's key is none of our logs' business either.
    private static func masking(_ text: String, after prefix: String) -> String {
        let parts = text.split(separator: prefix, omittingEmptySubsequences: false)
        guard let first = parts.first else { return text }
        return parts.dropFirst().reduce(into: String(first)) { masked, part in
            masked += prefix + "***" + part.drop { $0.isHexDigit || $0 == "_" }
        }
    }
}
