internal import Crypto
internal import SandboxCore

/// The manager's labels as a sandbox's metadata, and back.
///
/// `user_id` and `project_id` are what people and older managers read; filters use only the other names, whose values
/// consist of characters that no layer of encoding touches.
enum LabelMetadata {
    static let user = "user_id"
    static let project = "project_id"
    static let key = "sandbox_manager_key"
    static let token = "sandbox_manager_token"
    static let environment = "sandbox_manager_environment"
    static let epoch = "sandbox_manager_epoch"

    static func metadata(of labels: SandboxLabels) -> [String: String] {
        [
            user: labels.key.user,
            project: labels.key.project,
            key: digest(labels.key.canonical),
            token: labels.token.rawValue,
            environment: plain(labels.environment),
            epoch: String(labels.epoch.rawValue),
        ]
    }

    /// The labels, if all are there and agree with each other. An environment that was digested stays so.
    static func labels(in metadata: [String: String]) -> SandboxLabels? {
        guard
            let user = metadata[user], let project = metadata[project],
            let leaseKey = try? LeaseKey(recorded: user, project: project),
            metadata[key] == digest(leaseKey.canonical),
            let token = metadata[token], !token.isEmpty,
            let environment = metadata[environment],
            let epoch = metadata[epoch].flatMap({ Int64($0) })
        else { return nil }
        return SandboxLabels(
            key: leaseKey,
            token: CreationToken(token),
            environment: environment,
            epoch: Epoch(epoch)
        )
    }

    /// What to ask the server for.
    static func pairs(_ filter: SandboxFilter) -> [(String, String)] {
        switch filter {
        case .environment(let name): [(environment, plain(name))]
        case .token(let creation, let name): [(token, creation.rawValue), (environment, plain(name))]
        case .key(let leaseKey, let name): [(key, digest(leaseKey.canonical)), (environment, plain(name))]
        }
    }

    /// Whether a listed sandbox is what the filter means: owners are compared by name, not only by digest (I5).
    static func matches(_ filter: SandboxFilter, _ metadata: [String: String]) -> Bool {
        guard pairs(filter).allSatisfy({ metadata[$0.0] == $0.1 }) else { return false }
        guard case .key(let leaseKey, _) = filter else { return true }
        return metadata[user] == leaseKey.user && metadata[project] == leaseKey.project
    }

    /// An environment's name as it is, or its digest if it has characters that encoding would touch.
    static func plain(_ name: String) -> String {
        let isPlain =
            !name.isEmpty && name.utf8.count <= 128
            && name.utf8.allSatisfy { MetadataFilter.isUnreserved($0) && $0 != UInt8(ascii: "~") }
        return isPlain ? name : "sha256-\(digest(name))"
    }

    /// Hex SHA-256.
    static func digest(_ text: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        for byte in SHA256.hash(data: Array(text.utf8)) {
            hex.append(digits[Int(byte >> 4)])
            hex.append(digits[Int(byte & 15)])
        }
        return String(decoding: hex, as: UTF8.self)
    }
}
