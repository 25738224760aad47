import LoopThread
import Synchronization

/// A Redis client that many tasks share: their commands travel together on one connection.
///
/// Every call is answered by its deadline, whatever the server or the network does, and nothing blocks the calling
/// thread. The connection is made in the background, from `init` on, and made again for as long as it takes; while it is
/// known to be down, calls fail at once.
public final class RedisClient: Sendable {
    private let configuration: RedisConfiguration
    private let observer: (any RedisObserver)?
    private let status = ClientStatus()
    private let thread: LoopThread<LoopMessage>
    private let subscriptions = Mutex(Subscriptions())

    /// Starts the client's thread, which starts to connect; does not wait for it.
    ///
    /// - Throws: `.unusable` for a bad configuration, or without memory, descriptors or threads.
    public init(configuration: RedisConfiguration, observer: (any RedisObserver)? = nil) throws(RedisError) {
        if let fault = configuration.fault { throw .unusable(reason: fault) }
        guard let wakeUp = WakeUp() else { throw .unusable(reason: "no descriptor") }
        let loop = CommandLoop(configuration: configuration, wakeUp: wakeUp, status: status, observer: observer)
        do {
            thread = try LoopThread(name: "redis", wake: { wakeUp.ring() }, body: { inbox in loop.run(inbox) })
        } catch {
            throw .unusable(reason: "no thread (errno \(error.code))")
        }
        self.configuration = configuration
        self.observer = observer
    }

    /// What the connection for commands is doing.
    public var state: RedisConnectionState { status.state }

    /// Commands that are not answered yet, those that wait for a connection included.
    public var pendingCommands: Int { status.pendingCommands }

    /// Sends a command and returns its reply.
    ///
    /// A transient failure is followed by one more attempt after `RedisConfiguration.retryDelay`, if the command is
    /// idempotent or was certainly not carried out.
    ///
    /// - Parameters:
    ///   - command: The command; it must not change the connection, which others share.
    ///   - deadline: The longest time for each attempt; nil means `RedisConfiguration.commandTimeout`.
    /// - Returns: The reply; an error reply is thrown.
    /// - Throws: Any `RedisError` but `.unusable`. If the task is cancelled, `.cancelled` at once; the command may
    ///   be carried out nevertheless.
    public func send(_ command: RedisCommand, deadline: Duration? = nil) async throws(RedisError) -> RedisValue {
        try await send([command], deadline: deadline)[0].get()
    }

    /// Sends several commands in one go, with no other caller's command between them; not as a transaction.
    ///
    /// - Parameters:
    ///   - commands: The commands, sent in this order. If one cannot be sent on a shared connection, none is.
    ///   - deadline: The longest time for each attempt; nil means `RedisConfiguration.commandTimeout`.
    /// - Returns: One result for each command, in their order. Retries, as for one command, take only those that need
    ///   it.
    public func send(_ commands: [RedisCommand], deadline: Duration? = nil) async -> [Result<RedisValue, RedisError>] {
        let limit = deadline ?? configuration.commandTimeout
        var results = await attempt(commands, limit: limit)
        let again = zip(commands, results).enumerated().filter { Self.isWorthRepeating($1.0, $1.1) }.map(\.offset)
        guard !again.isEmpty, let pause = configuration.retryDelay else { return results }
        do {
            try await Task.sleep(for: pause)
        } catch {
            for index in again {
                if case .failure(let error) = results[index] {
                    results[index] = .failure(.cancelled(wasSent: error.mayHaveReachedServer))
                }
            }
            return results
        }
        for index in again { observer?.commandRetried(because: RedisOutcome(results[index])) }
        for (index, result) in zip(again, await attempt(again.map { commands[$0] }, limit: limit)) {
            results[index] = result
            if case .failure(let error) = result, error.isTransient { observer?.retryFailed() }
        }
        return results
    }

    /// Runs a script by its name, and teaches it to Redis if Redis does not know it.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: Its `KEYS`.
    ///   - arguments: Its `ARGV`.
    ///   - isIdempotent: Whether running it twice has the effect of running it once.
    ///   - deadline: The longest time for each attempt; nil means `RedisConfiguration.commandTimeout`.
    /// - Returns: What the script returns.
    /// - Throws: As `send(_:deadline:)` does; an error in the script's own text is `.server`.
    public func run(
        _ script: RedisScript,
        keys: [[UInt8]] = [],
        arguments: [[UInt8]] = [],
        isIdempotent: Bool = false,
        deadline: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        let command = script.command(keys: keys, arguments: arguments, isIdempotent: isIdempotent)
        do {
            return try await send(command, deadline: deadline)
        } catch .noScript {
            // LOAD rather than EVAL: newer servers forget scripts that came with EVAL.
            let load = RedisCommand("SCRIPT", "LOAD", script.source, isIdempotent: true)
            let results = await send([load, command], deadline: deadline)
            if case .failure(.server(let message)) = results[0] { throw .server(message: message) }
            return try results[1].get()
        }
    }

    /// Answers every call with `.closed`, ends the subscriptions and the threads; returns when the calls are answered.
    ///
    /// May be called more than once and by many. Later calls throw `.closed`. A thread that is just connecting ends
    /// by itself soon after.
    public func close() async {
        let open = subscriptions.withLock { subscriptions in
            subscriptions.isClosed = true
            defer { subscriptions.open = [:] }
            return subscriptions.open
        }
        for subscription in open.values { subscription.end() }
        thread.close()
        await thread.waitUntilEnded()
    }
}

extension RedisClient {
    private static func isWorthRepeating(_ command: RedisCommand, _ result: Result<RedisValue, RedisError>) -> Bool {
        guard case .failure(let error) = result, error.isTransient else { return false }
        return command.isIdempotent || !error.mayHaveReachedServer
    }

    private func attempt(_ commands: [RedisCommand], limit: Duration) async -> Call.Replies {
        let startedAt = ContinuousClock.now
        let results = await replies(to: commands, startedAt: startedAt, limit: limit)
        if let observer {
            let duration = startedAt.duration(to: .now)
            for (command, result) in zip(commands, results) {
                observer.commandEnded(command.kind, outcome: RedisOutcome(result), after: duration)
            }
        }
        return results
    }

    private func replies(
        to commands: [RedisCommand],
        startedAt: ContinuousClock.Instant,
        limit: Duration
    ) async -> Call.Replies {
        guard !commands.isEmpty else { return [] }
        for command in commands {
            guard let fault = command.fault else { continue }
            return commands.map { _ in .failure(.invalidCommand(reason: fault)) }
        }
        guard status.admit(commands.count, limit: configuration.maxPendingCommands) else {
            return commands.map { _ in .failure(.queueFull(limit: configuration.maxPendingCommands)) }
        }
        let call = Call(
            commands,
            startedAt: startedAt,
            limit: limit,
            commandTimeout: configuration.commandTimeout
        )
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.continuation = continuation
                guard !thread.post(.call(call)) else { return }
                status.dismiss(commands.count)
                continuation.resume(returning: commands.map { _ in .failure(.closed(wasSent: false)) })
            }
        } onCancel: {
            // May come before the call itself; the loop then answers the call when it comes.
            _ = thread.post(.cancel(call))
        }
    }
}

// MARK: - Subscriptions

/// One running subscription, as its client knows it.
private struct Subscription: Sendable {
    let thread: LoopThread<Never>
    let continuation: AsyncStream<RedisMessage>.Continuation

    /// Ends the stream at once and the thread soon.
    func end() {
        thread.close()
        continuation.finish()
    }
}

private struct Subscriptions {
    var open: [Int: Subscription] = [:]
    var lastID = 0
    var isClosed = false
}

extension RedisClient {
    /// Listens to channels, on a connection and a thread of its own.
    ///
    /// - Parameter channels: Their names; at least one.
    /// - Returns: A stream for one reader. It starts with `.subscribed`, or with `.lost` if that does not work at
    ///   once, and ends when the client is closed; letting go of it ends the subscription.
    /// - Throws: `.invalidCommand` without a channel, `.closed`, or `.unusable` without descriptors or threads.
    public func subscribe(to channels: [[UInt8]]) throws(RedisError) -> AsyncStream<RedisMessage> {
        guard !channels.isEmpty else { throw .invalidCommand(reason: "a subscription needs a channel") }
        guard let wakeUp = WakeUp() else { throw .unusable(reason: "no descriptor") }
        let (stream, continuation) = AsyncStream.makeStream(
            of: RedisMessage.self,
            bufferingPolicy: .bufferingOldest(configuration.subscriptionBuffer)
        )
        let loop = SubscriptionLoop(
            channels: Set(channels),
            configuration: configuration,
            wakeUp: wakeUp,
            continuation: continuation,
            observer: observer
        )
        let subscription: Subscription
        do {
            let thread = try LoopThread<Never>(
                name: "redis-subscribe",
                wake: { wakeUp.ring() },
                body: { inbox in loop.run(inbox) }
            )
            subscription = Subscription(thread: thread, continuation: continuation)
        } catch {
            throw .unusable(reason: "no thread (errno \(error.code))")
        }
        guard let id = register(subscription) else {
            subscription.end()
            throw .closed(wasSent: false)
        }
        continuation.onTermination = { [weak self] _ in
            subscription.thread.close()
            _ = self?.subscriptions.withLock { $0.open.removeValue(forKey: id) }
        }
        return stream
    }

    /// Listens to channels that are named by texts; see `subscribe(to:)`.
    public func subscribe(to channels: String...) throws(RedisError) -> AsyncStream<RedisMessage> {
        try subscribe(to: channels.map { Array($0.utf8) })
    }

    /// - Returns: Nil if the client is closed.
    private func register(_ subscription: Subscription) -> Int? {
        subscriptions.withLock { subscriptions in
            guard !subscriptions.isClosed else { return nil }
            subscriptions.lastID += 1
            subscriptions.open[subscriptions.lastID] = subscription
            return subscriptions.lastID
        }
    }
}
