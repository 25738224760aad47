/// The pair (user, project) that a sandbox is leased for.
///
/// A key exists only if both ids are valid, so nothing is ever allocated, logged or stored for an id that is not.
/// Ids are 1 to 128 bytes of ASCII letters, digits and `. _ - @ + = |`. As `:` is not among them,
/// ``canonical`` is injective: two different keys never share a name in a store (S1).
public struct LeaseKey: Hashable, Sendable {
    /// The longest id accepted, in bytes.
    public static let maximumIDBytes = 128

    /// The user, as the caller names them.
    public let user: String
    /// The project, as the caller names it.
    public let project: String

    /// Validates both ids.
    ///
    /// - Parameters:
    ///   - user: The user id.
    ///   - project: The project id.
    /// - Throws: `.invalidArgument` that names the faulty part and says why, without repeating its value.
    public init(user: String, project: String) throws(ManagerError) {
        try Self.validate(user, as: "user id")
        try Self.validate(project, as: "project id")
        self.user = user
        self.project = project
    }

    /// `user:project`; injective, as no id contains a colon.
    public var canonical: String { "\(user):\(project)" }

    private static func validate(_ id: String, as name: String) throws(ManagerError) {
        guard !id.isEmpty else { throw .invalidArgument("\(name) is empty") }
        // The length first: a megabyte of rubbish is refused without looking at it.
        guard id.utf8.count <= maximumIDBytes else {
            throw .invalidArgument("\(name) is longer than \(maximumIDBytes) bytes")
        }
        guard id.utf8.allSatisfy(isAllowed) else {
            throw .invalidArgument("\(name) may contain only ASCII letters, digits and . _ - @ + = |")
        }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "@"), UInt8(ascii: "+"),
            UInt8(ascii: "="), UInt8(ascii: "|"):
            true
        default:
            false
        }
    }
}

extension LeaseKey: CustomStringConvertible {
    /// The canonical name; safe in a log line, as the allowed bytes cannot forge one.
    public var description: String { canonical }
}
