import SandboxCore
import SimulatedProvider
import Synchronization

/// The simulated provider, with calls that fail as they are told.
final class FailingProvider: SandboxProvider {
    private struct State {
        var failures: [ProviderOperation: ProviderError] = [:]
        var failedCreates: [String: ProviderError] = [:]
        var verdict: HealthVerdict?
    }

    private let base: SimulatedProvider
    private let state = Mutex(State())

    init(base: SimulatedProvider) { self.base = base }

    var name: String { base.name }
    var capabilities: ProviderCapabilities { base.capabilities }

    func fail(_ operation: ProviderOperation, with error: ProviderError?) {
        state.withLock { $0.failures[operation] = error }
    }

    func failCreates(of user: String, with error: ProviderError) {
        state.withLock { $0.failedCreates[user] = error }
    }

    func answerProbes(with verdict: HealthVerdict?) { state.withLock { $0.verdict = verdict } }

    private func check(_ operation: ProviderOperation) throws(ProviderError) {
        if let error = state.withLock({ $0.failures[operation] }) { throw error }
    }

    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        if let error = state.withLock({ $0.failedCreates[request.labels.key.user] }) { throw error }
        return try await base.create(request, timeout: timeout)
    }

    func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try check(.info)
        return try await base.info(id, timeout: timeout)
    }

    func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        try check(.list)
        return try await base.list(filter, timeout: timeout)
    }

    func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        try check(.connect)
        return try await base.connect(id, life: life, timeout: timeout)
    }

    func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        try check(.extend)
        return try await base.extend(id, life: life, timeout: timeout)
    }

    func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        try check(.pause)
        try await base.pause(id, timeout: timeout)
    }

    func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        try check(.kill)
        return try await base.kill(id, timeout: timeout)
    }

    func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        if let verdict = state.withLock({ $0.verdict }) { return verdict }
        return await base.health(sandbox, timeout: timeout)
    }

    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        try check(.exec)
        return ExecResult(standardOutput: [], standardError: [], exitCode: 0)
    }

    func shutdown() async { await base.shutdown() }
}
