/// What a caller may wish for when a sandbox has to be created; applies to creation only.
public struct AcquireOptions: Sendable, Hashable {
    /// What to boot; `nil` for the configured default.
    public var template: String?
    /// Labels of the caller's own; the manager's names are refused (S3).
    public var metadata: [String: String]
    /// Environment variables for everything that runs inside.
    public var environment: [String: Secret]
    /// How long the lease may lie idle: 15 s to the greatest age; `nil` for the configured default.
    public var idleTimeout: Duration?

    /// The shortest idle timeout that can be asked for.
    public static let leastIdleTimeout: Duration = .seconds(15)

    /// Bundles the wishes.
    public init(
        template: String? = nil,
        metadata: [String: String] = [:],
        environment: [String: Secret] = [:],
        idleTimeout: Duration? = nil
    ) {
        self.template = template
        self.metadata = metadata
        self.environment = environment
        self.idleTimeout = idleTimeout
    }

    /// Refuses what must not reach a provider, before anything is allocated for it.
    ///
    /// - Parameter maxAge: The longest idle timeout that can be asked for.
    /// - Throws: `.invalidArgument` that names the faulty part.
    public func validate(maxAge: Duration) throws(ManagerError) {
        if let template, template.isEmpty || template.utf8.count > 256 || template.utf8.contains(where: { $0 <= 32 }) {
            throw .invalidArgument("template must be 1 to 256 bytes without blanks or control characters")
        }
        for name in metadata.keys where SandboxLabels.reservedMetadataNames.contains(name) {
            throw .invalidArgument("metadata name \(name) is reserved for the manager")
        }
        guard !metadata.keys.contains("") else { throw .invalidArgument("metadata has an empty name") }
        for name in environment.keys where !Self.isVariableName(name) {
            throw .invalidArgument("envs has a name that is no environment variable name")
        }
        guard !environment.values.contains(where: { $0.reveal().utf8.contains(0) }) else {
            throw .invalidArgument("envs has a value with a NUL character")
        }
        if let idleTimeout, idleTimeout < Self.leastIdleTimeout || idleTimeout > maxAge {
            throw .invalidArgument(
                "timeout_seconds must be between \(Self.leastIdleTimeout.components.seconds) and "
                    + "\(maxAge.components.seconds)"
            )
        }
    }

    private static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.count <= 256
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
