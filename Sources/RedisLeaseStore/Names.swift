internal import SandboxCore
internal import Synchronization

/// The names of keys and channels.
struct Names: Sendable {
    /// What all names but one begin with.
    let prefix: String
    /// Where replicas tell each other what ended.
    let endings: String
    /// Where others answer this replica that they heard it.
    let acknowledgements: String

    init(environment: String, owner: String) throws(StoreError) {
        try Self.check(environment, as: "environment", without: "{}")
        // A line break would end the field that carries it.
        try Self.check(owner, as: "owner", without: "")
        prefix = "sandbox-manager:\(environment):"
        endings = "\(prefix)endings"
        acknowledgements = Self.acknowledgements(prefix, of: owner)
    }

    /// Where another replica waits for answers.
    func acknowledgements(of owner: String) -> String { Self.acknowledgements(prefix, of: owner) }

    private static func acknowledgements(_ prefix: String, of owner: String) -> String { "\(prefix)acks:\(owner)" }

    private static func check(_ name: String, as what: String, without forbidden: String) throws(StoreError) {
        let isPrintable = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && !forbidden.utf8.contains($0) }
        guard (1...128).contains(name.utf8.count), isPrintable else {
            throw StoreError(
                "\(what) is not 1 to 128 printable bytes\(forbidden.isEmpty ? "" : " without \(forbidden)")",
                kind: .refused
            )
        }
    }
}

/// Names of calls, unlike those of every other process: by them Redis knows a repetition.
final class OperationNames: Sendable {
    /// Drawn once for each store.
    let random: String
    private let last = Atomic<UInt64>(0)

    init() {
        var generator = SystemRandomNumberGenerator()
        random = String(generator.next(), radix: 16) + String(generator.next(), radix: 16)
    }

    func next() -> String { "\(random)-\(last.add(1, ordering: .relaxed).newValue)" }
}
