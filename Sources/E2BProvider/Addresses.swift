internal import SandboxCore

/// Where the control plane and the sandboxes' agents are reached.
struct Addresses: Sendable {
    /// The port that the agent inside every sandbox listens on.
    static let agentPort = 49983

    /// Base URL of the control plane, without a slash at its end.
    let api: String
    private let shared: String?
    private let domain: String

    init(_ configuration: E2BConfiguration) {
        domain = configuration.domain
        api = Self.base(configuration.apiURL ?? "https://api.\(configuration.domain)")
        shared = configuration.sandboxURL.map(Self.base)
    }

    /// Base URL of a sandbox's agent. A shared address wins over all, the domain that the API named over the configured.
    func agent(of sandbox: ProviderSandbox) -> String {
        if let shared { return shared }
        let named = sandbox.domain.flatMap { Self.isHostName($0) ? $0 : nil }
        return "https://\(Self.agentPort)-\(sandbox.id).\(named ?? domain)"
    }

    /// Whether an id may become part of a path or host name. It may come from a store that others write to.
    static func isSafe(_ id: SandboxID) -> Bool {
        let bytes = id.rawValue.utf8
        return (1...128).contains(bytes.count) && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isHostName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                isAlphanumeric(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
            }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func base(_ url: String) -> String {
        var url = url[...]
        while url.hasSuffix("/") { url = url.dropLast() }
        return String(url)
    }
}
