internal import CLocalSandbox
public import SandboxCore

/// Sandboxes on this machine, made by bubblewrap: no account, no network, a few milliseconds each.
///
/// Each is a set of namespaces without network and capabilities, with the host's programs read-only and a home of
/// limited size in memory, and with a small supervisor as process 1 that runs the commands. Its life hangs on a socket
/// to this process: when that closes, for whatever reason, the kernel ends everything inside. So nothing outlives this
/// process, and nothing is left on disk.
///
/// One thread does all I/O. Time limits of calls run on the system's clock; expiries on the time source given.
public final class LocalProvider: SandboxProvider {
    /// `local`.
    public let name = "local"
    /// Cannot pause; its sandboxes die with this process.
    public let capabilities = ProviderCapabilities(canPause: false, outlivesProcess: false)
    /// What this machine's kernel cannot limit, one sentence each, for the start-up log.
    public let limitations: [String]

    private let loop: IOLoop

    /// Starts the provider's thread. Nothing is checked here: see ``diagnose(_:)``.
    ///
    /// - Parameters:
    ///   - configuration: What may be used of this machine.
    ///   - time: Decides when a sandbox expires.
    ///   - random: Where sandbox ids come from.
    ///   - spawner: Starts one task per sandbox, which waits for its expiry.
    public init(
        configuration: LocalProviderConfiguration = LocalProviderConfiguration(),
        time: any TimeSource,
        random: any RandomSource,
        spawner: any TaskSpawner
    ) {
        limitations = Limitations.onThisMachine(configuration)
        loop = IOLoop { reactor, loop in
            Engine(
                configuration: configuration,
                reactor: reactor,
                loop: loop,
                time: time,
                random: random,
                spawner: spawner
            )
        }
    }

    deinit {
        // Whoever drops the provider without shutting it down leaves no sandbox behind either.
        _ = loop.submit { $0.stop() }
    }

    /// Makes a sandbox and returns once its supervisor answers.
    ///
    /// - Throws: `.unavailable` with bubblewrap's own words when it cannot work here; 404 for another template than the
    ///   configured one; `.concurrencyLimit`. After `.timedOut` and `.cancelled` with effect `.none` it surely is gone.
    public func create(
        _ request: CreateRequest,
        timeout: Duration
    ) async throws(ProviderError) -> ProviderSandbox {
        try await call(.create) { engine, ticket, completion in
            engine.create(request, timeout: timeout, ticket, completion)
        }
    }

    /// What is known of a sandbox; `nil` as soon as it ended, by whatever hand. Never throws while the provider runs.
    public func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try await call(.info) { engine, _, completion in completion.finish(.success(engine.info(id))) }
    }

    /// All sandboxes that match, in the order of their ids.
    public func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        try await call(.list) { engine, _, completion in completion.finish(.success(engine.list(filter))) }
    }

    /// Confirms that a sandbox runs and gives it at least `life`; nothing is ever resumed, as nothing can be paused.
    ///
    /// - Throws: `.gone` when there is no such running sandbox.
    public func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        try await call(.connect) { engine, _, completion in
            guard let sandbox = engine.extend(id, life: life, onlyLater: true) else {
                return completion.fail(.init(.connect, .gone, "there is no such sandbox", effect: .none))
            }
            completion.finish(.success(ConnectedSandbox(sandbox: sandbox, resumed: false)))
        }
    }

    /// Moves the expiry to `life` from now, be that earlier or later, and returns `life`.
    ///
    /// - Throws: `.gone` when there is no such running sandbox.
    public func extend(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> Duration {
        try await call(.extend) { engine, _, completion in
            guard let sandbox = engine.extend(id, life: life, onlyLater: false) else {
                return completion.fail(.init(.extend, .gone, "there is no such sandbox", effect: .none))
            }
            completion.finish(.success(sandbox.remainingLife))
        }
    }

    /// Always throws `.unsupported`: processes cannot be put aside here.
    public func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        throw ProviderError(.pause, .unsupported, "local sandboxes cannot be paused", effect: .none)
    }

    /// Ends a sandbox and returns when its processes are collected; its files were in memory and are gone with them.
    ///
    /// - Throws: `.timedOut` or `.cancelled`; the sandbox ends nevertheless, and another call confirms it.
    public func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        try await call(.kill) { engine, ticket, completion in
            engine.kill(id, timeout: timeout, ticket, completion)
        }
    }

    /// Asks the supervisor inside, which answers even when the sandbox is full of processes.
    public func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        let verdict: Result<HealthVerdict, ProviderError> = await result(.health) { engine, ticket, completion in
            engine.health(sandbox.id, timeout: timeout, ticket, completion)
        }
        switch verdict {
        case .success(let verdict): return verdict
        // Only when the provider is shut down, and then there are no sandboxes.
        case .failure: return .gone
        }
    }

    /// Runs a command as the sandbox's user in its home, in a session of its own.
    ///
    /// A program that cannot be found or run is a result like any other: exit code 127 or 126 with words on standard
    /// error. When the time is over, or the calling task is cancelled, the command is killed with its whole session and
    /// all its descendants. Children that it leaves running on purpose live on; their output is not waited for.
    /// - Throws: 400 for an empty command or a NUL in it, 413 for one that is too long, `.rateLimited` when 64 run in
    ///   the sandbox, `.cancelled`, and `.gone`.
    public func exec(
        _ sandbox: ProviderSandbox,
        _ request: ExecRequest
    ) async throws(ProviderError) -> ExecResult {
        guard !request.command.isEmpty else {
            throw ProviderError(.exec, .http(status: 400), "the command is empty", effect: .none)
        }
        guard request.command.allSatisfy({ !$0.utf8.contains(0) }) else {
            throw ProviderError(.exec, .http(status: 400), "the command contains a NUL", effect: .none)
        }
        let size = request.command.reduce(64) { $0 + $1.utf8.count + 1 }
        guard size <= Wire.maximumBytes, request.command.count <= Wire.maximumStrings else {
            let detail = "the command is longer than \(Wire.maximumBytes) bytes or \(Wire.maximumStrings) arguments"
            throw ProviderError(.exec, .http(status: 413), detail, effect: .none)
        }
        return try await call(.exec) { engine, ticket, completion in
            engine.exec(sandbox.id, request, ticket, completion)
        }
    }

    /// Ends all sandboxes, waits until they are gone, and ends the thread; every later call is refused.
    public func shutdown() async {
        let _: Result<Void, ProviderError> = await result(.kill) { engine, _, completion in engine.stop(completion) }
    }

    // MARK: - The way to the loop's thread

    private typealias Start<Value: Sendable> = @Sendable (Engine, CallTicket, Completion<Value>) -> Void

    private func call<Value: Sendable>(
        _ operation: ProviderOperation,
        _ start: @escaping Start<Value>
    ) async throws(ProviderError) -> Value {
        try await result(operation, start).get()
    }

    private func result<Value: Sendable>(
        _ operation: ProviderOperation,
        _ start: @escaping Start<Value>
    ) async -> Result<Value, ProviderError> {
        let ticket = CallTicket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let taken = loop.submit { start($0, ticket, Completion(continuation, ticket: ticket)) }
                guard !taken else { return }
                let error = ProviderError(operation, .unavailable, "the local provider is shut down", effect: .none)
                continuation.resume(returning: .failure(error))
            }
        } onCancel: {
            ticket.cancel()
            _ = loop.submit { $0.cancel(ticket) }
        }
    }
}
