internal import CLocalSandbox
internal import Glibc
internal import Synchronization

/// The one thread that owns every descriptor of a local provider.
///
/// Other threads hand in jobs; all state lives in the ``Engine``, which only this thread ever sees.
final class IOLoop: Sendable {
    typealias Job = @Sendable (Engine) -> Void

    private struct Inbox: Sendable {
        var jobs: [Job] = []
        var isClosed = false
    }

    private let inbox = Mutex(Inbox())
    private let wakeUp: Int32
    private let makeEngine: @Sendable (Reactor, IOLoop) -> Engine

    /// Starts the thread. If the system refuses one, the loop is closed from the start and refuses every job.
    init(_ makeEngine: @escaping @Sendable (Reactor, IOLoop) -> Engine) {
        self.makeEngine = makeEngine
        wakeUp = cls_eventfd()
        let epoll = cls_epoll_create()
        var thread = pthread_t()
        // Owned by the thread: it takes the reference back as its first act.
        let start = Unmanaged.passRetained(ThreadStart(loop: self, epoll: epoll))
        let started =
            wakeUp >= 0 && epoll >= 0
            && pthread_create(
                &thread,
                nil,
                { context in
                    guard let context else { return nil }
                    let start = Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
                    start.loop.run(epoll: start.epoll)
                    return nil
                },
                start.toOpaque()
            ) == 0
        guard !started else {
            pthread_detach(thread)
            return
        }
        start.release()
        if wakeUp >= 0 { cls_close(wakeUp) }
        if epoll >= 0 { cls_close(epoll) }
        inbox.withLock { $0.isClosed = true }
    }

    /// Has `job` run on the loop's thread, in the order of the calls.
    ///
    /// - Returns: `false` when the loop has ended; the job will then never run.
    func submit(_ job: @escaping Job) -> Bool {
        inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            inbox.jobs.append(job)
            // Under the lock: the thread closes the descriptor only after it closed the inbox.
            if inbox.jobs.count == 1 { cls_eventfd_signal(wakeUp) }
            return true
        }
    }

    private func run(epoll: Int32) {
        cls_block_signals()
        cls_name_thread("local-sandboxes")
        let reactor = Reactor(epoll: epoll)
        let engine = makeEngine(reactor, self)
        let wakeUp = self.wakeUp
        let watch = reactor.watch(wakeUp, for: .readable) { _ in cls_eventfd_clear(wakeUp) }
        // Without the wake-up nothing would ever be heard; a running engine ends when told and its last sandbox is gone.
        while watch != nil, !engine.isFinished {
            takeJobs().forEach { $0(engine) }
            guard !engine.isFinished else { break }
            reactor.turn()
        }
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.jobs = [] }
            return inbox.jobs
        }
        engine.stop()
        // A stopped engine answers each with a refusal, at once.
        late.forEach { $0(engine) }
        if let watch { reactor.close(watch) } else { cls_close(wakeUp) }
    }

    private func takeJobs() -> [Job] {
        inbox.withLock { inbox in
            defer { inbox.jobs = [] }
            return inbox.jobs
        }
    }
}

/// What the thread's start routine gets.
private final class ThreadStart: Sendable {
    let loop: IOLoop
    let epoll: Int32

    init(loop: IOLoop, epoll: Int32) {
        self.loop = loop
        self.epoll = epoll
    }
}
