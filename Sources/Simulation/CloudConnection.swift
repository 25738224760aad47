internal import SandboxCore

/// One process' way to the provider: delays, refusals, lost calls and lost answers.
struct CloudConnection: SandboxProvider {
    let cloud: SimulatedCloud
    let process: SimulatedProcess

    var name: String { "simulated" }
    var capabilities: ProviderCapabilities { ProviderCapabilities(canPause: true, outlivesProcess: true) }

    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        let token = request.labels.token
        cloud.createSent(token)
        cloud.history.note(request.labels.key, "\(process.name): create \(token.short) epoch \(request.labels.epoch)")
        // The server gives up before its clients do.
        let limit = timeout.nanoseconds * 9 / 10
        return try await call(
            .create,
            work: (.milliseconds(200), min(.milliseconds(1500), limit)),
            limit: limit,
            never: { cloud.createArrived(token) }
        ) {
            cloud.createArrived(token)
            return cloud.create(request)
        }
    }

    func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try await call(.info) { .success(cloud.info(id)) }
    }

    func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        try await call(.list) { .success(cloud.list(filter)) }
    }

    func connect(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> ConnectedSandbox {
        try await call(.connect) { cloud.connect(id, life: life.nanoseconds) }
    }

    func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        try await call(.extend) { cloud.extend(id, life: life.nanoseconds) }
    }

    func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        try await call(.pause) { cloud.pause(id) }
    }

    func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        try await call(.kill) { .success(cloud.kill(id)) }
    }

    func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        cloud.onProbe(sandbox.id, process)
        let probed = await Result<HealthVerdict, ProviderError>.of { () async throws(ProviderError) in
            try await call(.health) { () -> Result<HealthVerdict, ProviderError>? in
                cloud.probe(sandbox.id).map { .success($0) }
            }
        }
        switch probed {
        case .success(let verdict):
            if verdict == .alive { cloud.onProbedWell(sandbox.id, process) }
            return verdict
        case .failure(let error) where error.kind == .cancelled: return .cancelled
        case .failure(let error): return .unreachable(error.detail)
        }
    }

    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        try await call(.exec, work: (.milliseconds(5), request.timeout.nanoseconds)) {
            guard cloud.info(sandbox.id)?.state == .running else {
                return .failure(ProviderError(.exec, .gone, "no such sandbox", effect: .none))
            }
            return .success(ExecResult(standardOutput: [], standardError: [], exitCode: 0))
        }
    }

    func shutdown() async {}

    // MARK: The way there and back

    // `work` is how long it takes there, at least and at most; `limit` how late it may take effect when nothing comes
    // back; `never` is run if the call does not get there. An effect of `nil` is no answer.
    private func call<Value: Sendable>(
        _ operation: ProviderOperation,
        work: (Int64, Int64) = (.milliseconds(2), .milliseconds(120)),
        limit: Int64 = .seconds(3),
        never: @escaping () -> Void = {},
        _ effect: @escaping () -> Result<Value, ProviderError>?
    ) async throws(ProviderError) -> Value {
        let answer = Reply<Result<Value, ProviderError>>()
        let fate = Fate(operation, cloud.weather, cloud.dice)
        let (timeline, process) = (cloud.timeline, process)
        // What hangs may take effect late.
        let longest = !fate.answers && fate.arrives ? max(work.1, limit) : work.1
        let there = cloud.dice.spread(work.0, longest)
        let back = cloud.dice.spread(.milliseconds(1), .milliseconds(40))
        timeline.after(there) {
            var outcome: Result<Value, ProviderError>?
            if fate.arrives { outcome = effect() } else { never() }
            if let failure = fate.failure { outcome = .failure(failure) }
            guard fate.answers, let outcome else { return }
            timeline.after(back) { process.reach { answer.settle(outcome) } }
        }
        let outcome = await withTaskCancellationHandler {
            await answer.wait()
        } onCancel: {
            process.reach {
                answer.settle(.failure(ProviderError(operation, .cancelled, "given up", effect: .unknown)))
            }
        }
        return try outcome.get()
    }
}

/// What becomes of one call of the provider.
private struct Fate {
    /// Whether it takes effect.
    var arrives = true
    /// Whether anything comes back.
    var answers = true
    /// What comes back instead of the outcome.
    var failure: ProviderError?

    init(_ operation: ProviderOperation, _ weather: Weather, _ dice: Dice) {
        if operation == .create, weather.strikes(.lostCreate) {
            if dice.chance(0.5) {
                answers = false
            } else {
                failure = ProviderError(operation, .http(status: 504), "gateway", effect: .unknown)
            }
        } else if weather.strikes(.hang) {
            arrives = dice.chance(0.5)
            answers = false
        } else if weather.strikes(.error5xx) {
            arrives = dice.chance(0.4)
            failure = ProviderError(operation, .http(status: 502), "bad gateway", effect: .unknown)
        } else if weather.strikes(.reset) {
            arrives = dice.chance(0.5)
            let refused = !arrives && dice.chance(0.5)
            failure = ProviderError(
                operation,
                refused ? .refused : .reset,
                "connection",
                effect: refused ? .none : .unknown
            )
        } else if operation != .health, weather.strikes(.error429) {
            arrives = false
            failure = ProviderError(
                operation,
                .rateLimited,
                "slow down",
                effect: .none,
                retryAfter: .nanoseconds(dice.spread(.milliseconds(200), .seconds(4)))
            )
        }
    }
}

extension Result where Success: Sendable {
    /// The outcome of a call as a value.
    static func of(_ body: () async throws(Failure) -> Success) async -> Result {
        do throws(Failure) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
