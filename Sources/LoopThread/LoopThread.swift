import Synchronization

/// One thread that runs a C library's loop, with one inbox to reach it and one wake-up to interrupt its wait.
///
/// The loop owns the library's handles; other threads only post messages. The thread ends when its body returns, which
/// the body must do soon after a batch that says `isLast`.
public final class LoopThread<Message: Sendable>: Sendable {
    private struct Ending {
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// The state that outlives this object while the thread still runs; it holds no reference back.
    private final class Completion: Sendable {
        let ending = Mutex(Ending())

        func finish() {
            let waiters = ending.withLock { ending -> [CheckedContinuation<Void, Never>] in
                ending.hasEnded = true
                defer { ending.waiters = [] }
                return ending.waiters
            }
            for waiter in waiters { waiter.resume() }
        }

        func wait() async {
            await withCheckedContinuation { continuation in
                let hasEnded = ending.withLock { ending in
                    if !ending.hasEnded { ending.waiters.append(continuation) }
                    return ending.hasEnded
                }
                if hasEnded { continuation.resume() }
            }
        }
    }

    private let inbox: Inbox<Message>
    private let completion = Completion()

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - name: Shown by debuggers and `top -H`; the system keeps the first 15 bytes.
    ///   - wake: Interrupts the wait of `body`; see `Inbox.init(wake:)`.
    ///   - body: The loop. It may own state that is not `Sendable`: it is handed to the thread and released there.
    /// - Throws: If the system refuses a thread; `body` then never runs.
    public init(
        name: String,
        wake: @escaping @Sendable () -> Void,
        body: sending @escaping (Inbox<Message>) -> Void
    ) throws(ThreadStartError) {
        let inbox = Inbox<Message>(wake: wake)
        self.inbox = inbox
        let completion = completion
        try SystemThread.start(name: name) {
            body(inbox)
            // A body that returns by itself must not leave writers believing that someone reads.
            inbox.close()
            completion.finish()
        }
    }

    /// Starts a thread for a loop that has nothing to wait for but its inbox, or that waits in blocking C calls.
    ///
    /// - Parameters:
    ///   - name: Shown by debuggers and `top -H`; the system keeps the first 15 bytes.
    ///   - body: The loop; it waits for messages with the `Doorbell` it is given.
    /// - Throws: If the system refuses a thread; `body` then never runs.
    public convenience init(
        name: String,
        body: sending @escaping (Inbox<Message>, Doorbell) -> Void
    ) throws(ThreadStartError) {
        let doorbell = Doorbell()
        try self.init(name: name, wake: { doorbell.ring() }) { inbox in body(inbox, doorbell) }
    }

    deinit {
        inbox.close()
    }

    /// Leaves a message for the loop.
    ///
    /// - Returns: False after `close()` or the end of the loop; the caller then answers for the message itself.
    public func post(_ message: Message) -> Bool {
        inbox.post(message)
    }

    /// Asks the loop to end; messages posted before are still handled, later ones are refused.
    public func close() {
        inbox.close()
    }

    /// Returns when the loop has ended. Does not end it, and does not return early when the waiting task is cancelled.
    public func waitUntilEnded() async {
        await completion.wait()
    }
}
