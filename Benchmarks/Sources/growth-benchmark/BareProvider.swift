import SandboxCore
import Synchronization

/// A provider that does nothing but remember what it was asked to make, or not even that: what is measured beside it is
/// the manager's own.
final class BareProvider: SandboxProvider {
    private let sandboxes: Mutex<[SandboxID: SandboxLabels]>?
    private let kills: Bool
    private let random: any RandomSource

    /// - Parameters:
    ///   - remembers: Whether it can be listed; otherwise it keeps nothing at all.
    ///   - kills: Whether kills succeed.
    ///   - random: Where ids come from.
    init(remembers: Bool, kills: Bool, random: any RandomSource) {
        sandboxes = remembers ? Mutex([:]) : nil
        self.kills = kills
        self.random = random
    }

    var name: String { "bare" }
    var capabilities: ProviderCapabilities { ProviderCapabilities(canPause: false, outlivesProcess: false) }

    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        // As long as the ids of E2B.
        let id = SandboxID("i" + String(String(random.next() | 1 << 63, radix: 36).prefix(10)) + "abcdefghi")
        sandboxes?.withLock { $0[id] = request.labels }
        return ProviderSandbox(id: id, template: request.template, remainingLife: request.life)
    }

    func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        guard kills else { throw ProviderError(.kill, .http(status: 500), "it does not end", effect: .none) }
        sandboxes?.withLock { $0[id] = nil }
        return .killed
    }

    func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        (sandboxes?.withLock { $0 } ?? [:]).map { id, labels in
            SandboxInfo(
                sandbox: ProviderSandbox(id: id, template: "base", remainingLife: .seconds(3000)),
                state: .running,
                startedAt: WallTime(sinceEpoch: .zero),
                metadata: [:],
                labels: labels
            )
        }
    }

    func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict { .alive }
    func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? { throw unused(.info) }
    func connect(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> ConnectedSandbox {
        throw unused(.connect)
    }
    func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration { life }
    func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) { throw unused(.pause) }
    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        throw unused(.exec)
    }
    func shutdown() async {}

    private func unused(_ operation: ProviderOperation) -> ProviderError {
        ProviderError(operation, .unsupported, "not part of any benchmark", effect: .none)
    }
}
