internal import Synchronization

/// The provider with a time limit of our own on every call, every call counted, and a circuit breaker before the control
/// plane. Probes, commands, pauses and kills pass the breaker by.
final class ProviderCaller: Sendable {
    let provider: any SandboxProvider
    private let configuration: ManagerConfiguration
    private let runtime: Runtime
    private let observer: any ManagerObserver
    private let breaker: Mutex<CircuitBreaker>

    init(
        provider: any SandboxProvider,
        configuration: ManagerConfiguration,
        runtime: Runtime,
        observer: any ManagerObserver
    ) {
        self.provider = provider
        self.configuration = configuration
        self.runtime = runtime
        self.observer = observer
        breaker = Mutex(CircuitBreaker(configuration.breaker))
    }

    /// What the breaker does with a call right now.
    func breakerState() -> BreakerState {
        let now = runtime.time.now()
        return withBreaker { breaker in
            breaker.advance(to: now)
            return breaker.state
        }
    }

    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        let hangs = configuration.faults.contains(.providerCreateHang)
        return try await guarded(.create, timeout: timeout) { [provider, time = runtime.time] in
            if hangs { await time.sleep(for: .seconds(86_400)) }
            return await Result.catching { () async throws(ProviderError) in
                try await provider.create(request, timeout: timeout)
            }
        }
    }

    func info(_ id: SandboxID) async throws(ProviderError) -> SandboxInfo? {
        let timeout = configuration.connectTimeout
        return try await guarded(.info, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in try await provider.info(id, timeout: timeout) }
        }
    }

    func list(_ filter: SandboxFilter) async throws(ProviderError) -> [SandboxInfo] {
        let timeout = configuration.connectTimeout
        return try await guarded(.list, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in try await provider.list(filter, timeout: timeout)
            }
        }
    }

    func connect(_ id: SandboxID, life: Duration) async throws(ProviderError) -> ConnectedSandbox {
        let timeout = configuration.connectTimeout
        return try await guarded(.connect, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in
                try await provider.connect(id, life: life, timeout: timeout)
            }
        }
    }

    func extend(_ id: SandboxID, life: Duration) async throws(ProviderError) -> Duration {
        let timeout = configuration.connectTimeout
        return try await guarded(.extend, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in
                try await provider.extend(id, life: life, timeout: timeout)
            }
        }
    }

    func pause(_ id: SandboxID) async throws(ProviderError) {
        let timeout = configuration.killTimeout
        try await call(.pause, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in try await provider.pause(id, timeout: timeout) }
        }
    }

    func kill(_ id: SandboxID) async throws(ProviderError) -> KillOutcome {
        let timeout = configuration.killTimeout
        return try await call(.kill, timeout: timeout) { [provider] in
            await Result.catching { () async throws(ProviderError) in try await provider.kill(id, timeout: timeout) }
        }
    }

    /// Not among the counted provider requests: how long it takes is the command's affair.
    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        // The provider ends the command at its limit; ours is only for a provider that does not.
        let limit = request.timeout + .seconds(5)
        let result = await runtime.bounded("exec", by: limit) { isCancelled in
            Result<ExecResult, ProviderError>.failure(
                ProviderError(.exec, isCancelled ? .cancelled : .timedOut(after: limit), "no result", effect: .unknown)
            )
        } _: { [provider] in
            await Result.catching { () async throws(ProviderError) in try await provider.exec(sandbox, request) }
        }
        return try result.get()
    }

    func health(_ sandbox: ProviderSandbox) async -> HealthVerdict {
        let start = runtime.time.now()
        let timeout = configuration.healthTimeout
        let hangs = configuration.faults.contains(.healthCheckHang)
        let verdict = await runtime.bounded("health check", by: timeout) { isCancelled in
            isCancelled ? HealthVerdict.cancelled : .timedOut(after: timeout)
        } _: { [provider, time = runtime.time] in
            if hangs { await time.sleep(for: .seconds(86_400)) }
            return await provider.health(sandbox, timeout: timeout)
        }
        let took = runtime.time.now() - start
        observer.providerCalled(.health, verdict.providerResult, took: took)
        observer.healthChecked(verdict.result, took: took)
        return verdict
    }

    // MARK: Shared pieces

    /// A call that the breaker decides on, and that tells it how it ended.
    private func guarded<Value: Sendable>(
        _ operation: ProviderOperation,
        timeout: Duration,
        _ work: @escaping @Sendable () async -> Result<Value, ProviderError>
    ) async throws(ProviderError) -> Value {
        let start = runtime.time.now()
        let pass: CircuitBreaker.Pass
        switch withBreaker({ $0.admit(now: start) }) {
        case .call(let given):
            pass = given
        case .refuse(let wait):
            observer.breakerRejected(.provider)
            let words = "the provider fails and is given time to recover"
            throw ProviderError(operation, .breakerOpen, words, effect: .none, retryAfter: wait)
        }
        let result = await Result.catching { () async throws(ProviderError) in
            try await call(operation, timeout: timeout, work)
        }
        let outcome: CircuitBreaker.Outcome =
            switch result {
            case .success: .succeeded
            case .failure(let error): error.breakerOutcome
            }
        let now = runtime.time.now()
        withBreaker { $0.ended(pass, outcome, now: now) }
        return try result.get()
    }

    /// Asks or tells the breaker; one step changes its state at most once.
    private func withBreaker<Value: Sendable>(_ step: (inout sending CircuitBreaker) -> Value) -> Value {
        let (value, changed) = breaker.withLock { breaker -> (Value, BreakerState?) in
            let before = breaker.state
            let value = step(&breaker)
            return (value, breaker.state == before ? nil : breaker.state)
        }
        if let changed { observer.breakerChanged(.provider, to: changed) }
        return value
    }

    private func call<Value: Sendable>(
        _ operation: ProviderOperation,
        timeout: Duration,
        _ work: @escaping @Sendable () async -> Result<Value, ProviderError>
    ) async throws(ProviderError) -> Value {
        let start = runtime.time.now()
        let result = await runtime.bounded(operation.rawValue, by: timeout) { isCancelled in
            Result<Value, ProviderError>.failure(
                ProviderError(
                    operation,
                    isCancelled ? .cancelled : .timedOut(after: timeout),
                    isCancelled ? "given up" : "no answer within \(timeout)",
                    effect: .unknown
                )
            )
        } _: {
            await work()
        }
        let label: ProviderResult =
            switch result {
            case .success: .ok
            case .failure(let error): error.result
            }
        observer.providerCalled(operation, label, took: runtime.time.now() - start)
        return try result.get()
    }
}

extension Result where Success: Sendable {
    /// The outcome of a call as a value: typed errors do not survive continuations and task groups, results do.
    static func catching(_ body: () async throws(Failure) -> Success) async -> Result {
        do throws(Failure) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
