internal import CMicrohttpd
internal import CShims
internal import Glibc
internal import Synchronization

/// A running daemon and the watchdog: one thread beside the library's that accepts, enforces deadlines, lingers and,
/// last, stops the daemon.
///
/// `@unchecked Sendable`: the daemon pointer is used by the starting thread before the watchdog exists, and by the
/// watchdog's thread after that.
final class RunningDaemon: @unchecked Sendable {
    /// How long answered requests may take to be sent once the grace period is over.
    private static let flushAllowance: UInt64 = 1_000_000_000
    /// How long accepting pauses when there are no descriptors or no memory for another connection.
    private static let acceptPause: UInt64 = 100_000_000
    /// Clients accepted in one go before the watchdog looks at the rest of its work.
    private static let acceptBatch = 32

    let core: ServerCore
    let listener: ListenSocket
    private let daemon: OpaquePointer

    /// Listens and starts the library's threads and the watchdog's.
    init(core: ServerCore) throws(HTTPServerError) {
        let configuration = core.configuration
        listener = try ListenSocket(host: configuration.host, port: configuration.port)
        self.core = core
        var settings = cmhd_settings(
            threads: UInt32(configuration.threads),
            // The watchdog keeps the limit by not accepting; what it hands over before it sees the table grow must
            // not be dropped.
            connection_limit: UInt32(configuration.maxConnections + 2 * Self.acceptBatch * configuration.threads),
            connection_memory: configuration.connectionMemoryBytes,
            context: Unmanaged.passUnretained(core).toOpaque(),
            on_access: onAccess,
            on_completed: onCompleted,
            on_connection: onConnection,
            on_target: onTarget
        )
        guard let daemon = cmhd_start(&settings) else {
            listener.close()
            throw .libraryRefused
        }
        self.daemon = daemon
        try startWatchdog()
    }

    private func startWatchdog() throws(HTTPServerError) {
        var thread = pthread_t()
        // The thread owns one reference to this object, and through it to the core, until it ends.
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                cshims_name_thread("http-watchdog")
                Unmanaged<RunningDaemon>.fromOpaque(context).takeRetainedValue().watch()
                return nil
            },
            context.toOpaque()
        )
        guard code == 0 else {
            context.release()
            MHD_stop_daemon(daemon)
            listener.close()
            throw .system(operation: "pthread_create", code: code)
        }
        pthread_detach(thread)
    }

    // MARK: The watchdog's thread

    private func watch() {
        var lingering = LingeringSockets()
        let stop = serve(&lingering)
        // From here the kernel refuses clients, and the port is free again.
        listener.close()
        let answer = core.handler.refusal(.draining, request: nil)
        watch(&lingering, until: stop.graceDeadline) { core.activeRequests.load(ordering: .acquiring) == 0 }
        core.pending.closeAndSettleAll(with: answer) { core.observer?.requestRefused(.draining) }
        // The answers just given are sent by the library's threads, which stopping it would cut short.
        watch(&lingering, until: CoarseTime.now + Self.flushAllowance) {
            core.answeringRequests.load(ordering: .relaxed) == 0
        }
        // Nothing is suspended any more: the table is closed and every entry of it was resumed.
        MHD_stop_daemon(daemon)
        lingering.closeAll()
        stop.completion()
    }

    /// Accepts and watches until it is told to stop.
    private func serve(_ lingering: inout LingeringSockets) -> WatchdogInbox.Stop {
        let tick = tickMilliseconds
        var acceptsFrom: UInt64 = 0
        while true {
            let connections = core.connections.count
            let isAccepting = connections < core.configuration.maxConnections && acceptsFrom <= CoarseTime.now
            let isIdle = connections == 0 && lingering.isEmpty && isAccepting
            let hasClient = lingering.wait(
                event: core.watchdogInbox.event,
                listener: isAccepting ? listener.descriptor : -1,
                milliseconds: isIdle ? -1 : tick
            )
            let news = core.watchdogInbox.take()
            lingering.add(news.lingering, now: CoarseTime.now)
            if let stop = news.stop { return stop }
            if hasClient, !acceptClients() { acceptsFrom = CoarseTime.now + Self.acceptPause }
            enforceDeadlines(&lingering)
        }
    }

    /// Goes on watching without accepting, until the condition holds or the time is over.
    private func watch(_ lingering: inout LingeringSockets, until deadline: UInt64, or condition: () -> Bool) {
        while !condition(), CoarseTime.now < deadline {
            _ = lingering.wait(event: core.watchdogInbox.event, listener: -1, milliseconds: 5)
            lingering.add(core.watchdogInbox.take().lingering, now: CoarseTime.now)
            enforceDeadlines(&lingering)
        }
    }

    /// - Returns: Whether accepting may go on at once.
    private func acceptClients() -> Bool {
        for _ in 0..<Self.acceptBatch where core.connections.count < core.configuration.maxConnections {
            switch listener.accept() {
            case .connection(let client, var address, let size):
                // The library owns the descriptor from here, also when it refuses.
                _ = withUnsafeBytes(of: &address) { bytes in
                    MHD_add_connection(
                        daemon,
                        client,
                        bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                        size
                    )
                }
            case .none:
                return true
            case .failed(let code):
                core.observer?.acceptFailed(code: code)
                return false
            }
        }
        return true
    }

    private func enforceDeadlines(_ lingering: inout LingeringSockets) {
        let now = CoarseTime.now
        lingering.closeOverdue(now: now)
        for deadline in core.connections.cutOverdue(now: now) { core.observer?.deadlinePassed(deadline) }
    }

    /// How often deadlines are looked at: an eighth of the shortest, so that none is overrun by much.
    private var tickMilliseconds: Int32 {
        let configuration = core.configuration
        let shortest = min(configuration.arrivalTimeout, configuration.idleTimeout, configuration.sendTimeout)
        return Int32(min(max(shortest.clampedNanoseconds / 8_000_000, 5), 250))
    }
}
