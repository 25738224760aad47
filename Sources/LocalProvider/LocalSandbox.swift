internal import CLocalSandbox
internal import SandboxCore

/// One sandbox as the loop's thread knows it: its process, the socket to its supervisor, what waits for either.
final class LocalSandbox {
    enum State {
        /// Its supervisor has not answered yet.
        case starting(Completion<ProviderSandbox>)
        /// It can be used.
        case running
        /// We closed its socket; its processes are not confirmed dead.
        case ending
        /// It ended by itself or by another's hand; only its remains have to be collected.
        case gone
    }

    /// A message that the socket had no room for yet.
    struct Outgoing {
        let bytes: [UInt8]
        /// Closed by whoever takes the message out of the queue.
        let descriptors: [Int32]
        /// The command that it starts.
        let command: UInt32?
    }

    let id: SandboxID
    let request: CreateRequest
    let startedAt: WallTime
    let process: Int32
    var deadline: MonotonicInstant
    var state: State
    var expiry: SpawnedTask?
    var socket: Reactor.Watch?
    var socketDescriptor: Int32
    var processWatch: Reactor.Watch?
    var errors: Int32
    var outbox: [Outgoing] = []
    var commands: [UInt32: RunningCommand] = [:]
    var pings: [UInt32: Completion<HealthVerdict>] = [:]
    var killers: [Completion<KillOutcome>] = []
    /// Kills by name what does not end by itself.
    var lastResort: Reactor.Timer?
    private var lastNumber: UInt32 = 0
    private var deathActions: [() -> Void] = []

    init(
        id: SandboxID,
        request: CreateRequest,
        startedAt: WallTime,
        deadline: MonotonicInstant,
        launched: LaunchKit.Launched,
        completion: Completion<ProviderSandbox>
    ) {
        self.id = id
        self.request = request
        self.startedAt = startedAt
        self.deadline = deadline
        process = launched.process
        socketDescriptor = launched.socket
        errors = launched.errors
        state = .starting(completion)
    }

    /// Whether somebody who asks is told that it exists: not before its creator knows, and until it is surely dead.
    var isVisible: Bool {
        switch state {
        case .running, .ending: true
        case .starting, .gone: false
        }
    }

    var isRunning: Bool {
        if case .running = state { return true }
        return false
    }

    /// Has `action` run once the processes are confirmed dead.
    func onDeath(_ action: @escaping () -> Void) { deathActions.append(action) }

    /// The processes are confirmed dead.
    func die() {
        state = .gone
        let actions = deathActions
        deathActions = []
        actions.forEach { $0() }
    }

    func nextNumber() -> UInt32 {
        lastNumber &+= 1
        return lastNumber
    }

    func describe(now: MonotonicInstant) -> ProviderSandbox {
        ProviderSandbox(
            id: id,
            template: request.template,
            remainingLife: max(.zero, deadline - now)
        )
    }

    func info(now: MonotonicInstant) -> SandboxInfo {
        SandboxInfo(
            sandbox: describe(now: now),
            state: .running,
            startedAt: startedAt,
            metadata: request.metadata,
            labels: request.labels
        )
    }

    func matches(_ filter: SandboxFilter) -> Bool {
        let labels = request.labels
        return switch filter {
        case .environment(let environment): labels.environment == environment
        case .token(let token, let environment): labels.token == token && labels.environment == environment
        case .key(let key, let environment): labels.key == key && labels.environment == environment
        }
    }

    /// What bubblewrap wrote before it gave up, as one line of at most a kilobyte.
    func takeErrors() -> String {
        guard errors >= 0 else { return "" }
        let bytes = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            let count = cls_read(errors, buffer.baseAddress, buffer.count)
            return Array(buffer[..<max(0, Int(count))])
        }
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        return words.joined(separator: " / ")
    }

    func closeErrors() {
        guard errors >= 0 else { return }
        cls_close(errors)
        errors = -1
    }
}
