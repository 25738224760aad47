internal import Synchronization

/// An HTTP/1.1 server on libmicrohttpd: one listener, one handler.
///
/// Finished responses are sent from the server's own thread; pending ones suspend their connection until the work
/// returns. It must be stopped before it is let go: a running server keeps itself, its threads and its port.
public final class HTTPServer: Sendable {
    /// Starts asynchronous work and returns a function that cancels it.
    public typealias Spawner = @Sendable (@escaping @Sendable () async -> Void) -> (@Sendable () -> Void)

    private enum Phase {
        case stopped
        case running(RunningDaemon)
        case stopping(RunningDaemon, waiters: [CheckedContinuation<Void, Never>])

        var daemon: RunningDaemon? {
            switch self {
            case .stopped: nil
            case .running(let daemon), .stopping(let daemon, _): daemon
            }
        }
    }

    private struct State {
        var phase = Phase.stopped
        var port = 0
        var warnings: [String] = []
    }

    private let configuration: HTTPServerConfiguration
    private let handler: any HTTPHandler
    private let observer: (any HTTPServerObserver)?
    private let spawn: Spawner
    private let state = Mutex(State())

    /// A server that does nothing until `start()`.
    ///
    /// - Parameters:
    ///   - configuration: Checked by `start()`.
    ///   - handler: Answers the requests.
    ///   - observer: Hears what happens, for metrics; nil for nobody.
    ///   - spawn: Starts the work of pending responses; called on the server's thread, must not block.
    public init(
        configuration: HTTPServerConfiguration,
        handler: any HTTPHandler,
        observer: (any HTTPServerObserver)? = nil,
        spawn: @escaping Spawner
    ) {
        self.configuration = configuration
        self.handler = handler
        self.observer = observer
        self.spawn = spawn
    }

    /// Listens and serves. Returns once connections are accepted; may be called again after `stop`.
    public func start() throws(HTTPServerError) {
        let faults = configuration.faults
        guard faults.isEmpty else { throw .invalidConfiguration(faults) }
        // Held while the daemon starts, so that of two callers one finds the other's server. Its callbacks do not
        // take this lock.
        try state.withLock { state throws(HTTPServerError) in
            guard case .stopped = state.phase else { throw .alreadyRunning }
            let core = ServerCore(
                configuration: configuration,
                handler: handler,
                observer: observer,
                spawn: spawn,
                watchdogInbox: try WatchdogInbox()
            )
            let warnings = FileDescriptorBudget.prepare(maxConnections: configuration.maxConnections)
            let daemon = try RunningDaemon(core: core)
            state = State(phase: .running(daemon), port: daemon.listener.port, warnings: warnings)
        }
    }

    /// The port bound by the last `start()`; 0 before it.
    public var port: Int { state.withLock { $0.port } }

    /// What the operator should know since the last `start()`, such as too few file descriptors for the limits.
    public var warnings: [String] { state.withLock { $0.warnings } }

    /// Requests whose work has not returned yet; the bound is `maxPendingRequests`.
    public var pendingRequests: Int { daemon?.core.pending.count ?? 0 }

    /// Requests between their request line and the end of their response, pending ones included.
    public var activeRequests: Int { daemon?.core.activeRequests.load(ordering: .acquiring) ?? 0 }

    /// Open connections; the bound is `maxConnections`.
    public var openConnections: Int { daemon?.core.connections.count ?? 0 }

    private var daemon: RunningDaemon? { state.withLock { $0.phase.daemon } }

    /// Closes each connection after its next response from now on. New connections and requests still reach the handler,
    /// which decides what to answer. Does nothing on a stopped server.
    public func beginDraining() {
        daemon?.core.isDraining.store(true, ordering: .relaxed)
    }

    /// Stops accepting, waits for requests under way, answers the rest with the `draining` refusal, and closes.
    ///
    /// Takes at most the grace period and a second to send the last answers. Returns at once on a stopped server; a
    /// second caller waits for the first one's stop. Not cancellable: half a stop would leave the port taken.
    ///
    /// - Parameter gracePeriod: How long requests under way may take to finish by themselves; zero or more.
    public func stop(gracePeriod: Duration) async {
        await withCheckedContinuation { continuation in
            let first = state.withLock { state -> RunningDaemon?? in
                switch state.phase {
                case .stopped:
                    return .none
                case .running(let daemon):
                    state.phase = .stopping(daemon, waiters: [continuation])
                    return .some(daemon)
                case .stopping(let daemon, let waiters):
                    state.phase = .stopping(daemon, waiters: waiters + [continuation])
                    return .some(nil)
                }
            }
            guard let first else { return continuation.resume() }
            guard let daemon = first else { return }
            daemon.core.isDraining.store(true, ordering: .relaxed)
            daemon.core.watchdogInbox.requestStop(
                .init(graceDeadline: CoarseTime.now + gracePeriod.clampedNanoseconds) { [self] in finishStopping() }
            )
        }
    }

    private func finishStopping() {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard case .stopping(_, let waiters) = state.phase else { return [] }
            state.phase = .stopped
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
