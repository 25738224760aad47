/// The pair (user, project) that a sandbox is leased for.
///
/// A key exists only if both ids are valid, so nothing is ever allocated, logged or stored for an id that is not.
/// Ids are 1 to 128 bytes of ASCII letters, digits and `. _ - @ + = |`. As `:` is not among them,
/// ``canonical`` is injective: two different keys never share a name in a store (S1).
public struct LeaseKey: Hashable, Sendable {
    /// The longest id accepted, in bytes.
    public static let maximumIDBytes = 128

    /// A key lies in half a dozen tables at once; each of them has a reference to the names.
    private final class Names: Sendable {
        let user: String
        let project: String

        init(_ user: String, _ project: String) {
            self.user = user
            self.project = project
        }
    }

    private let names: Names

    /// The user, as the caller names them.
    public var user: String { names.user }
    /// The project, as the caller names it.
    public var project: String { names.project }

    /// Validates both ids.
    ///
    /// - Parameters:
    ///   - user: The user id.
    ///   - project: The project id.
    /// - Throws: `.invalidArgument` that names the faulty part and says why, without repeating its value.
    public init(user: String, project: String) throws(ManagerError) {
        try Self.validate(user, as: "user id")
        try Self.validate(project, as: "project id")
        names = Names(user, project)
    }

    /// Equal if both names are.
    public static func == (left: LeaseKey, right: LeaseKey) -> Bool {
        left.names === right.names || (left.user == right.user && left.project == right.project)
    }

    /// By both names.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(names.user)
        hasher.combine(names.project)
    }

    /// Reads a key back that a manager wrote: one of a caller's, or of a member of the warm pool.
    ///
    /// Only for what comes from a store or from a sandbox's labels; what a caller says goes through
    /// ``init(user:project:)``, which no pool key passes.
    /// - Throws: `.invalidArgument` if no manager wrote it.
    public init(recorded user: String, project: String) throws(ManagerError) {
        guard user == Self.warmUser else {
            try self.init(user: user, project: project)
            return
        }
        guard !project.isEmpty, project.utf8.count <= 512, project.utf8.allSatisfy({ $0 > 0x20 }) else {
            throw .invalidArgument("a pool member's name is not well-formed")
        }
        self.init(warmProject: project)
    }

    /// The key of a pool member: unlike every other's, and none that a caller could name.
    init(warm token: CreationToken, template: String) {
        self.init(warmProject: Self.warmPrefix(template) + token.rawValue)
    }

    private init(warmProject project: String) {
        names = Names(Self.warmUser, project)
    }

    /// The user part of all pool members' keys: no caller's id contains an asterisk.
    public static let warmUser = "*warm*"

    /// Whether this is the key of a pool member, which is no user's.
    public var isWarm: Bool { user == Self.warmUser }

    /// How the project part of every member begins that was made of `template`.
    public static func warmPrefix(_ template: String) -> String { "\(template)*" }

    /// `user:project`; injective, as no user's id contains a colon.
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
