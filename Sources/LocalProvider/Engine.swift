internal import CLocalSandbox
internal import Glibc
internal import SandboxCore

/// All state of a local provider and all that it does, on the loop's thread alone.
final class Engine {
    /// How long a closed socket may take to end a sandbox before its processes are killed by name.
    static let closeGrace: Duration = .milliseconds(500)
    /// How long the supervisor may take to confirm a kill before a command's result is given without it.
    static let killGrace: Duration = .seconds(2)
    /// Probes that may wait for one sandbox at once.
    static let maxPings = 64

    let configuration: LocalProviderConfiguration
    let reactor: Reactor
    let loop: IOLoop
    let time: any TimeSource
    let random: any RandomSource
    let spawner: any TaskSpawner
    /// Who owns the pipes of commands; 0 is our own user.
    let owner: (user: UInt32, group: UInt32)
    var sandboxes: [SandboxID: LocalSandbox] = [:]
    private var kit: LaunchKit?
    private var isStopping = false
    private var stopWaiters: [Completion<Void>] = []
    private var cancellations: [ObjectIdentifier: (ticket: CallTicket, action: () -> Void)] = [:]

    init(
        configuration: LocalProviderConfiguration,
        reactor: Reactor,
        loop: IOLoop,
        time: any TimeSource,
        random: any RandomSource,
        spawner: any TaskSpawner
    ) {
        self.configuration = configuration
        self.reactor = reactor
        self.loop = loop
        self.time = time
        self.random = random
        self.spawner = spawner
        owner = geteuid() == 0 ? (configuration.runAsUser, configuration.runAsGroup) : (0, 0)
    }

    /// Whether the thread may end.
    var isFinished: Bool { isStopping && sandboxes.isEmpty }

    // MARK: - Cancellation

    /// Has `action` run when the caller gives up; at once if it already has.
    func onCancel(of ticket: CallTicket, _ completion: Completion<some Sendable>, _ action: @escaping () -> Void) {
        guard !ticket.isCancelled else { return action() }
        cancellations[ObjectIdentifier(ticket)] = (ticket, action)
        completion.onFinish { [weak self] in self?.cancellations[ObjectIdentifier(ticket)] = nil }
    }

    func cancel(_ ticket: CallTicket) {
        cancellations.removeValue(forKey: ObjectIdentifier(ticket))?.action()
    }

    // MARK: - Creating

    func create(
        _ request: CreateRequest,
        timeout: Duration,
        _ ticket: CallTicket,
        _ completion: Completion<ProviderSandbox>
    ) {
        let setup: [UInt8]
        let launched: LaunchKit.Launched
        do {
            setup = try checkedSetup(request)
            launched = try launchKit().launch()
        } catch {
            return completion.fail(creationFailure(error))
        }
        let now = time.now()
        let sandbox = LocalSandbox(
            id: newID(),
            request: request,
            startedAt: time.wallNow(),
            deadline: now + request.life,
            launched: launched,
            completion: completion
        )
        sandboxes[sandbox.id] = sandbox
        sandbox.processWatch = reactor.watch(launched.processDescriptor, for: .readable) { [weak self] _ in
            self?.processEnded(sandbox)
        }
        sandbox.socket = reactor.watch(launched.socket, for: .readable) { [weak self] events in
            self?.socketReady(sandbox, events)
        }
        guard sandbox.processWatch != nil, sandbox.socket != nil else {
            return abort(sandbox, launched, completion)
        }
        send(LocalSandbox.Outgoing(bytes: setup, descriptors: [], command: nil), to: sandbox)
        let timer = reactor.after(timeout) { [weak self] in
            self?.giveUp(sandbox, .init(.create, .timedOut(after: timeout), "the sandbox did not start", effect: .none))
        }
        completion.onFinish { [reactor] in reactor.cancel(timer) }
        onCancel(of: ticket, completion) { [weak self] in
            self?.giveUp(sandbox, .init(.create, .cancelled, "the creation was given up", effect: .none))
        }
    }

    private func checkedSetup(_ request: CreateRequest) throws(ProviderError) -> [UInt8] {
        guard !isStopping else {
            throw ProviderError(.create, .unavailable, "the local provider is shut down", effect: .none)
        }
        guard request.template == configuration.template else {
            let detail = "the local provider knows only the template \(configuration.template)"
            throw ProviderError(.create, .http(status: 404), detail, effect: .none)
        }
        guard sandboxes.count < configuration.maxSandboxes else {
            let detail = "\(configuration.maxSandboxes) local sandboxes run already"
            throw ProviderError(.create, .concurrencyLimit, detail, effect: .none)
        }
        let environment = try SandboxEnvironment.variables(request.environment)
        let life = request.life + configuration.expiryMargin
        let setup = Wire.setup(life: life, limits: configuration, environment: environment)
        guard setup.count <= Wire.maximumBytes, environment.count <= Wire.maximumStrings else {
            let detail = "the environment variables are larger than \(Wire.maximumBytes) bytes together"
            throw ProviderError(.create, .http(status: 413), detail, effect: .none)
        }
        return setup
    }

    private func launchKit() throws(LaunchKit.Failure) -> LaunchKit {
        if let kit { return kit }
        let made = try LaunchKit(configuration)
        kit = made
        return made
    }

    private func creationFailure(_ error: any Error) -> ProviderError {
        switch error {
        case let error as ProviderError: error
        case let error as LaunchKit.Failure: ProviderError(.create, .unavailable, error.detail, effect: .none)
        default: ProviderError(.create, .unavailable, "the sandbox could not be started", effect: .none)
        }
    }

    private func newID() -> SandboxID {
        let digits = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        while true {
            // 20 digits of 36 are 103 bits; the modulo's bias is beyond 10^-17.
            let text = String((0..<20).map { _ in digits[Int(random.next() % UInt64(digits.count))] })
            let id = SandboxID("l" + text)
            if sandboxes[id] == nil { return id }
        }
    }

    /// There is no descriptor left to watch it with: undo everything here and now.
    private func abort(
        _ sandbox: LocalSandbox,
        _ launched: LaunchKit.Launched,
        _ completion: Completion<ProviderSandbox>
    ) {
        if let socket = sandbox.socket { reactor.close(socket) } else { cls_close(launched.socket) }
        if let watch = sandbox.processWatch { reactor.close(watch) } else { cls_close(launched.processDescriptor) }
        sandbox.closeErrors()
        cls_kill_group(sandbox.process)
        waitpid(sandbox.process, nil, 0)
        sandboxes[sandbox.id] = nil
        completion.fail(.init(.create, .unavailable, "out of file descriptors", effect: .none))
    }

    /// Ends a sandbox that is not wanted any more before it started; the caller hears of it when it is surely dead.
    private func giveUp(_ sandbox: LocalSandbox, _ error: ProviderError) {
        guard case .starting(let completion) = sandbox.state else { return }
        end(sandbox, error)
        _ = reactor.after(Self.killGrace) {
            var unsure = error
            unsure.effect = .unknown
            completion.fail(unsure)
        }
        cls_kill_group(sandbox.process)
    }

    // MARK: - Ending

    func kill(
        _ id: SandboxID,
        timeout: Duration,
        _ ticket: CallTicket,
        _ completion: Completion<KillOutcome>
    ) {
        guard let sandbox = sandboxes[id] else { return completion.finish(.success(.alreadyGone)) }
        sandbox.killers.append(completion)
        end(sandbox, ProviderError(.exec, .gone, "the sandbox was ended", effect: .unknown))
        let timer = reactor.after(timeout) {
            let detail = "the sandbox's processes have not ended"
            completion.fail(.init(.kill, .timedOut(after: timeout), detail, effect: .unknown))
        }
        completion.onFinish { [reactor] in reactor.cancel(timer) }
        onCancel(of: ticket, completion) {
            completion.fail(.init(.kill, .cancelled, "nobody waits for the end of the sandbox", effect: .unknown))
        }
    }

    /// Kills all sandboxes and refuses new ones from now on; the thread ends with the last of them.
    func stop(_ completion: Completion<Void>? = nil) {
        isStopping = true
        for sandbox in sandboxes.values {
            end(sandbox, ProviderError(.exec, .gone, "the local provider is shut down", effect: .unknown))
        }
        if let completion { stopWaiters.append(completion) }
        answerStopWaiters()
    }

    private func answerStopWaiters() {
        guard isFinished else { return }
        kit = nil
        let waiters = stopWaiters
        stopWaiters = []
        waiters.forEach { $0.finish(.success(())) }
    }

    /// Closes the socket, on which the supervisor ends and with it everything inside. Idempotent.
    func end(_ sandbox: LocalSandbox, _ reason: ProviderError) {
        switch sandbox.state {
        case .ending, .gone: return
        case .running: sandbox.state = .ending
        case .starting(let completion):
            sandbox.state = .ending
            var refusal = reason
            refusal.operation = .create
            refusal.effect = .none
            let creationError = refusal
            sandbox.onDeath { completion.fail(creationError) }
        }
        detach(sandbox, reason)
    }

    /// What an end means for everybody who waits, whoever caused it. The process is collected later.
    private func detach(_ sandbox: LocalSandbox, _ reason: ProviderError) {
        sandbox.expiry?.cancel()
        sandbox.expiry = nil
        if let socket = sandbox.socket { reactor.close(socket) }
        sandbox.socket = nil
        sandbox.socketDescriptor = -1
        sandbox.outbox.forEach { $0.descriptors.forEach { cls_close($0) } }
        sandbox.outbox = []
        let commands = sandbox.commands.values
        sandbox.commands = [:]
        commands.forEach { $0.fail(reason) }
        let pings = sandbox.pings.values
        sandbox.pings = [:]
        pings.forEach { $0.finish(.success(.gone)) }
        // A supervisor that was stopped or hangs does not see its socket close.
        sandbox.lastResort = reactor.after(Self.closeGrace) { cls_kill_group(sandbox.process) }
    }

    /// The socket closed: the supervisor is dead, so the sandbox is gone though its remains are still to be collected.
    func lost(_ sandbox: LocalSandbox) {
        switch sandbox.state {
        case .ending, .gone: return
        case .starting(let completion):
            // bubblewrap's own words are complete only once it ended.
            sandbox.onDeath { [weak sandbox] in
                let words = sandbox?.takeErrors() ?? ""
                let detail = words.isEmpty ? "the sandbox ended while it started" : words
                completion.fail(.init(.create, .unavailable, detail, effect: .none))
            }
            sandbox.state = .gone
        case .running:
            sandbox.state = .gone
        }
        detach(sandbox, ProviderError(.exec, .gone, "the sandbox ended", effect: .unknown))
    }

    private func processEnded(_ sandbox: LocalSandbox) {
        lost(sandbox)
        // Before the zombie that keeps the group's number is collected: bubblewrap may have been killed alone.
        cls_kill_group(sandbox.process)
        var status: Int32 = 0
        // -EAGAIN cannot be: the descriptor says that it ended. Another error: somebody else collected it.
        guard cls_reap(sandbox.process, &status) != -EAGAIN else { return }
        if let watch = sandbox.processWatch { reactor.close(watch) }
        sandbox.processWatch = nil
        reactor.cancel(sandbox.lastResort)
        sandboxes[sandbox.id] = nil
        sandbox.die()
        sandbox.closeErrors()
        let killers = sandbox.killers
        sandbox.killers = []
        killers.forEach { $0.finish(.success(.killed)) }
        answerStopWaiters()
    }
}
