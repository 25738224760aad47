import Glibc
import LoopThread

/// The thread of one subscription: it connects, subscribes, passes messages on and starts over, until it is closed.
///
/// Nobody waits for an answer of it, so unlike the loop for commands it connects by itself. Confined to its thread.
final class SubscriptionLoop {
    private let channels: [[UInt8]]
    private let configuration: RedisConfiguration
    /// Rung once, to end the loop; never cleared.
    private let wakeUp: WakeUp
    private let continuation: AsyncStream<RedisMessage>.Continuation
    private let observer: (any RedisObserver)?
    private var backoff: Backoff
    private var state = RedisConnectionState.closed
    private var attempts = 0
    private var lossIsTold = false
    /// The reader was told nothing of messages that it was too slow for.
    private var hasGap = false

    init(
        channels: Set<[UInt8]>,
        configuration: RedisConfiguration,
        wakeUp: WakeUp,
        continuation: AsyncStream<RedisMessage>.Continuation,
        observer: (any RedisObserver)?
    ) {
        self.channels = Array(channels)
        self.configuration = configuration
        self.wakeUp = wakeUp
        self.continuation = continuation
        self.observer = observer
        backoff = Backoff(configuration)
    }

    func run(_ inbox: Inbox<Never>) {
        let connector = Connector(configuration)
        while !inbox.take().isLast {
            change(to: .connecting)
            attempts += 1
            var connectedAt: ContinuousClock.Instant?
            do throws(RedisError) {
                let connection = try connector.connect(interruption: wakeUp.descriptor)
                try subscribe(connection)
                connectedAt = .now
                if attempts > 1 { observer?.reconnectEnded(succeeded: true) }
                change(to: .connected)
                tell(.subscribed)
                try listen(connection, connector)
            } catch {
                guard !inbox.take().isLast else { break }
                if let connectedAt {
                    backoff.connectionEnded(after: connectedAt.duration(to: .now))
                } else {
                    backoff.attemptFailed()
                    observer?.reconnectEnded(succeeded: false)
                }
                change(to: .connecting)
                if !lossIsTold { tell(.lost(error)) }
            }
            pause()
        }
        change(to: .closed)
        continuation.finish()
    }

    /// Subscribes and returns when Redis has confirmed every channel.
    private func subscribe(_ connection: Connection) throws(RedisError) {
        let command = RedisCommand([Array("SUBSCRIBE".utf8)] + channels)
        let limit = configuration.commandTimeout
        let patience = Patience(end: .now + limit, interruption: wakeUp.descriptor)
        var reply = try connection.exchange(command, patience: patience, limit: limit)
        var missing = channels.count
        while true {
            if case .error(let message) = reply { throw RedisError(reply: message) }
            guard reply.array?.first?.text == "subscribe" else { throw unexpected }
            missing -= 1
            if missing == 0 { return }
            reply = try connection.awaitReply(patience: patience, limit: limit)
        }
    }

    private func listen(_ connection: Connection, _ connector: Connector) throws(RedisError) -> Never {
        var nextMasterCheck = ContinuousClock.now + configuration.masterCheckInterval
        while true {
            if configuration.hasSentinels, .now >= nextMasterCheck {
                let hasMoved = connector.masterHasMoved(
                    from: connection.address,
                    interruption: wakeUp.descriptor
                )
                if hasMoved { throw .readOnly }
                nextMasterCheck = .now + configuration.masterCheckInterval
            }
            while let reply = try connection.nextReply() { try pass(reply) }
            if hasGap { tell(nil) }
            if try wait(atMost: configuration.subscriptionPingInterval, connection) { continue }
            try connection.send(.ping)
            guard try wait(atMost: configuration.commandTimeout, connection) else {
                throw .timedOut(after: configuration.commandTimeout, wasSent: true)
            }
        }
    }

    /// - Returns: Whether something arrived.
    private func wait(atMost limit: Duration, _ connection: Connection) throws(RedisError) -> Bool {
        let patience = Patience(end: .now + limit, interruption: wakeUp.descriptor)
        switch patience.wait(for: POLLIN, on: connection.descriptor) {
        case .ready:
            try connection.read()
            return true
        case .late: return false
        case .interrupted: throw .closed(wasSent: true)
        }
    }

    private func pass(_ reply: RedisValue) throws(RedisError) {
        if case .error(let message) = reply { throw RedisError(reply: message) }
        guard let words = reply.array, let kind = words.first?.text else { throw unexpected }
        switch kind {
        case "message":
            guard words.count == 3, let channel = words[1].bytes, let payload = words[2].bytes else {
                throw unexpected
            }
            tell(.received(channel: channel, payload: payload))
        case "pong": break
        default: throw unexpected
        }
    }

    private var unexpected: RedisError {
        .protocolError(message: "a reply that does not belong to a subscription", wasSent: true)
    }

    /// - Parameter message: Nil only makes up for a gap, if the reader has room by now.
    private func tell(_ message: RedisMessage?) {
        if hasGap {
            guard case .enqueued = continuation.yield(.lost(.queueFull(limit: configuration.subscriptionBuffer))) else {
                return
            }
            hasGap = false
            lossIsTold = true
            if state == .connected, message != .subscribed { tell(.subscribed) }
        }
        guard let message else { return }
        switch continuation.yield(message) {
        case .enqueued:
            switch message {
            case .lost: lossIsTold = true
            case .subscribed: lossIsTold = false
            case .received: break
            }
        case .dropped: hasGap = true
        default: break
        }
    }

    private func pause() {
        let patience = Patience(
            end: .now + backoff.delay(random: .random(in: 0...1)),
            interruption: wakeUp.descriptor
        )
        _ = patience.wait(for: 0, on: -1)
    }

    private func change(to new: RedisConnectionState) {
        guard new != state else { return }
        observer?.connectionChanged(from: state, to: new)
        state = new
    }
}
