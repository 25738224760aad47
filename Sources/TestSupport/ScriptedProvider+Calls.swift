public import SandboxCore
internal import Synchronization

// The provider's calls, each ending as was decided.

extension ScriptedProvider {
    /// Makes a sandbox that lives until it is killed.
    public func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        let call = Call(operation: .create, order: request, timeout: timeout)
        return try await end(call) { state, time in .success(Self.make(request, in: &state, time: time)) }
    }

    /// What lives here under `id`.
    public func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try await end(Call(operation: .info, sandbox: id, timeout: timeout)) { state, time in
            .success(state.live[id].map { Self.info(of: $0, state, time) })
        }
    }

    /// What lives here and matches.
    public func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        try await end(Call(operation: .list, timeout: timeout, filter: filter)) { state, time in
            guard !state.hidesFromLists else { return .success([]) }
            let ghosts = state.ghosts.filter { state.live[$0.sandbox.id] == nil }
            let matching = (Array(state.live.values) + ghosts).filter { live in
                guard !state.unlabelled.contains(live.sandbox.id) else { return false }
                guard !state.ignoresListFilters else { return true }
                let labels = live.order.labels
                return switch filter {
                case .environment(let environment): labels.environment == environment
                case .token(let token, let environment): labels.environment == environment && labels.token == token
                case .key(let key, let environment): labels.environment == environment && labels.key == key
                }
            }
            return .success(
                matching.map { Self.info(of: $0, state, time) }.sorted {
                    $0.sandbox.id.rawValue < $1.sandbox.id.rawValue
                }
            )
        }
    }

    /// Attaches, and resumes what is paused.
    public func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        try await end(Call(operation: .connect, sandbox: id, life: life, timeout: timeout)) { state, time in
            guard var live = state.live[id] else { return .failure(Self.gone(.connect)) }
            let resumed = live.state == .paused
            live.state = .running
            live.expiry = max(live.expiry, time.now() + life)
            if resumed {
                live.expiry = time.now() + life
                live.startedAt = time.wallNow()
            }
            state.live[id] = live
            var sandbox = live.sandbox
            sandbox.remainingLife = live.expiry - time.now()
            return .success(ConnectedSandbox(sandbox: sandbox, resumed: resumed))
        }
    }

    /// Moves the expiry, granting what ``grantLess(by:)`` leaves.
    public func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        try await end(Call(operation: .extend, sandbox: id, life: life, timeout: timeout)) { state, time in
            guard state.live[id]?.state == .running else { return .failure(Self.gone(.extend)) }
            let granted = life - state.grantShortfall
            state.live[id]?.expiry = time.now() + granted
            return .success(granted)
        }
    }

    /// Pauses.
    public func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        try await end(Call(operation: .pause, sandbox: id, timeout: timeout)) {
            state,
            _ -> Result<Void, ProviderError> in
            guard state.live[id] != nil else { return .failure(Self.gone(.pause)) }
            state.live[id]?.state = .paused
            return .success(())
        }
    }

    /// Ends the sandbox.
    public func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        try await end(Call(operation: .kill, sandbox: id, timeout: timeout)) { state, _ in
            .success(state.live.removeValue(forKey: id) == nil ? .alreadyGone : .killed)
        }
    }

    /// Answers with the sandbox's verdict.
    public func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        let decided = await decision(Call(operation: .health, sandbox: sandbox.id, timeout: timeout))
        switch decided {
        case .verdict(let verdict): return verdict
        case .fail(let error), .proceedThenFail(let error): return .unreachable(error.detail)
        case .proceed:
            return state.withLock { state in
                guard let live = state.live[sandbox.id] else { return .gone }
                return live.state == .paused ? .paused : live.verdict
            }
        }
    }

    /// Echoes the command.
    public func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        try await end(Call(operation: .exec, sandbox: sandbox.id, timeout: request.timeout)) { state, _ in
            guard state.live[sandbox.id] != nil else { return .failure(Self.gone(.exec)) }
            let output = Array(request.command.joined(separator: " ").utf8)
            return .success(ExecResult(standardOutput: output, standardError: [], exitCode: 0))
        }
    }

    /// Remembers that it was called.
    public func shutdown() async {
        state.withLock { $0.isShutDown = true }
    }

    private func end<Value: Sendable>(
        _ call: Call,
        _ effect: (inout State, any TimeSource) -> Result<Value, ProviderError>
    ) async throws(ProviderError) -> Value {
        switch await decision(call) {
        case .fail(let error):
            throw error
        case .proceedThenFail(let error):
            state.withLock { _ = effect(&$0, time) }
            throw error
        case .proceed, .verdict:
            return try state.withLock { effect(&$0, time) }.get()
        }
    }

    private static func gone(_ operation: ProviderOperation) -> ProviderError {
        ProviderError(operation, .gone, "no such sandbox", effect: .none)
    }

    private static func info(of live: Live, _ state: State, _ time: any TimeSource) -> SandboxInfo {
        var sandbox = live.sandbox
        sandbox.remainingLife = live.expiry - time.now()
        var metadata = live.order.metadata
        let isLabelled = !state.unlabelled.contains(live.sandbox.id)
        if isLabelled {
            metadata["user_id"] = live.order.labels.key.user
            metadata["project_id"] = live.order.labels.key.project
        }
        return SandboxInfo(
            sandbox: sandbox,
            state: live.state,
            startedAt: live.startedAt,
            metadata: metadata,
            labels: isLabelled ? live.order.labels : nil
        )
    }
}
