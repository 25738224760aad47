import Glibc
import LoopThread

/// The thread that owns the connection for commands.
///
/// It takes everything that callers left, sends it in one write, and pairs replies with calls in order. It never blocks
/// but in `poll`, which an arriving call, a reply and the next deadline all end; so a server that hangs delays nobody's
/// answer. Connecting, which may block, happens on a thread of its own. Confined to its thread.
final class CommandLoop {
    private enum Link {
        /// The next attempt to connect is due at the instant.
        case pausing(until: ContinuousClock.Instant)
        case connecting
        case connected(Connection, since: ContinuousClock.Instant)
    }

    private let configuration: RedisConfiguration
    private let wakeUp: WakeUp
    private let status: ClientStatus
    private let observer: (any RedisObserver)?
    private var backoff: Backoff
    private var link = Link.pausing(until: .now)
    private var attempts = 0
    /// What calls are refused with while there is no connection: the outage is known, so nobody waits for its end.
    private var outage: RedisError?
    /// The server turned out to be a replica: nothing more is sent, and when all replies are in, the connection ends.
    private var isRetiring = false
    /// Calls that wait for a connection.
    private var unsent = FIFO<Call>()
    /// Calls whose replies are owed, in the order of the replies. Answered ones stay: their replies still come.
    private var sent = FIFO<Call>()
    /// No call needs a look before; may be too early, never too late.
    private var nextCheck: ContinuousClock.Instant?
    /// When the sentinels are asked next; nil without any, and while they are being asked.
    private var nextMasterCheck: ContinuousClock.Instant?
    /// What the last wait found.
    private var isReadable = false
    /// Whether a call came or a reply, so that the next step of the same caller may be near.
    private var wasActive = false
    /// Calls in a row that came while no other was under way.
    private var loneCalls = 0
    private var replyAnticipation = Anticipation()
    private var callAnticipation = Anticipation()

    init(
        configuration: RedisConfiguration,
        wakeUp: WakeUp,
        status: ClientStatus,
        observer: (any RedisObserver)?
    ) {
        self.configuration = configuration
        self.wakeUp = wakeUp
        self.status = status
        self.observer = observer
        backoff = Backoff(configuration)
    }

    /// Runs until the inbox is closed; then every call has been answered.
    func run(_ inbox: Inbox<LoopMessage>) {
        change(to: .connecting)
        while true {
            let batch = inbox.take()
            for message in batch.messages { handle(message) }
            if batch.isLast { return end() }
            connectIfDue(inbox)
            checkMasterIfDue(inbox)
            flush()
            checkDeadlines()
            wait()
            receive()
        }
    }

    private func handle(_ message: LoopMessage) {
        switch message {
        case .call(let call):
            wasActive = true
            loneCalls = status.pendingCommands <= call.count ? loneCalls + 1 : 0
            call.isReceived = true
            if call.isCancelled { return answer(call, .cancelled(wasSent: false)) }
            accept(call)
        case .cancel(let call):
            call.isCancelled = true
            // Otherwise the call itself is still behind this message.
            if call.isReceived { answer(call, .cancelled(wasSent: call.isSent)) }
        case .attemptEnded(.success(let connection)): connected(connection)
        case .attemptEnded(.failure(let error)): attemptFailed(error)
        case .masterChecked(let address, let hasMoved): masterChecked(address, hasMoved)
        }
    }

    private func accept(_ call: Call) {
        if case .connected(let connection, _) = link, !isRetiring {
            send(call, on: connection)
        } else if let outage {
            answer(call, outage)
        } else {
            unsent.append(call)
            look(at: call)
        }
    }

    private func send(_ call: Call, on connection: Connection) {
        call.isSent = true
        sent.append(call)
        look(at: call)
        do throws(RedisError) {
            try connection.append(call.bytes)
            call.bytes = []
        } catch {
            lose(because: error)
        }
    }

    private func look(at call: Call) {
        nextCheck = nextCheck.map { min($0, call.nextCheck) } ?? call.nextCheck
    }

    /// Gives the caller its replies, those that are missing being `error`; does nothing if it has them.
    private func answer(_ call: Call, _ error: RedisError? = nil) {
        guard let continuation = call.continuation else { return }
        call.continuation = nil
        var replies: Call.Replies = []
        swap(&replies, &call.replies)
        if let error {
            while replies.count < call.count { replies.append(.failure(error)) }
        }
        status.dismiss(call.count)
        continuation.resume(returning: replies)
    }

    private func end() {
        for call in sent.removeAll() { answer(call, .closed(wasSent: true)) }
        for call in unsent.removeAll() { answer(call, .closed(wasSent: false)) }
        link = .connecting
        change(to: .closed)
    }

    private func change(to state: RedisConnectionState) {
        let old = status.change(to: state)
        if old != state { observer?.connectionChanged(from: old, to: state) }
    }
}

// MARK: - Connecting

extension CommandLoop {
    private func connectIfDue(_ inbox: Inbox<LoopMessage>) {
        guard case .pausing(let until) = link, .now >= until else { return }
        link = .connecting
        attempts += 1
        let connector = Connector(configuration, greets: true)
        do {
            try SystemThread.start(name: "redis-connect") {
                let result: Result<Connection, RedisError>
                do throws(RedisError) {
                    result = .success(try connector.connect())
                } catch {
                    result = .failure(error)
                }
                // If the loop has ended, the connection ends with this closure.
                _ = inbox.post(.attemptEnded(result))
            }
        } catch {
            attemptFailed(.refused(address: configuration.endpoint.description, reason: "no thread"))
        }
    }

    private func connected(_ connection: Connection) {
        if attempts > 1 { observer?.reconnectEnded(succeeded: true) }
        link = .connected(connection, since: .now)
        outage = nil
        isRetiring = false
        nextMasterCheck = configuration.hasSentinels ? .now + configuration.masterCheckInterval : nil
        change(to: .connected)
        for call in unsent.removeAll() where !call.isAnswered { accept(call) }
    }

    private func checkMasterIfDue(_ inbox: Inbox<LoopMessage>) {
        guard case .connected(let connection, _) = link, let due = nextMasterCheck, .now >= due else { return }
        nextMasterCheck = nil
        let connector = Connector(configuration)
        let address = connection.address
        do {
            try SystemThread.start(name: "redis-sentinel") {
                let hasMoved = connector.masterHasMoved(from: address)
                _ = inbox.post(.masterChecked(address: address, hasMoved: hasMoved))
            }
        } catch {
            // No thread just now; that may be better next time.
            nextMasterCheck = .now + configuration.masterCheckInterval
        }
    }

    private func masterChecked(_ address: String, _ hasMoved: Bool) {
        guard case .connected(let connection, _) = link, connection.address == address else { return }
        nextMasterCheck = .now + configuration.masterCheckInterval
        guard hasMoved else { return }
        isRetiring = true
        if sent.isEmpty { lose(because: .readOnly) }
    }

    private func attemptFailed(_ error: RedisError) {
        observer?.reconnectEnded(succeeded: false)
        backoff.attemptFailed()
        pause()
        refuseAll(with: error)
    }

    /// Ends the connection, answers everybody whose reply will not come, and arranges the next attempt.
    private func lose(because error: RedisError) {
        guard case .connected(_, let since) = link else { return }
        backoff.connectionEnded(after: since.duration(to: .now))
        isRetiring = false
        pause()
        change(to: .connecting)
        for call in sent.removeAll() { answer(call, error) }
        // After a reset the server may be there again at once. One that hung will more likely hang on.
        if case .timedOut = error { refuseAll(with: error.beforeSending) }
    }

    private func pause() {
        link = .pausing(until: .now + backoff.delay(random: .random(in: 0...1)))
    }

    private func refuseAll(with error: RedisError) {
        outage = error
        for call in unsent.removeAll() { answer(call, error) }
    }
}

// MARK: - Input and output

extension CommandLoop {
    private func flush() {
        guard case .connected(let connection, _) = link else { return }
        do throws(RedisError) {
            try connection.flush()
        } catch {
            lose(because: error)
        }
    }

    private func wait() {
        var entries = (
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
            // A negative descriptor is passed over.
            pollfd(fd: -1, events: Int16(POLLIN), revents: 0)
        )
        var end = nextCheck
        switch link {
        case .connected(let connection, _):
            entries.1.fd = connection.descriptor
            if let nextMasterCheck { end = end.map { min($0, nextMasterCheck) } ?? nextMasterCheck }
            if connection.hasUnsentBytes { entries.1.events |= Int16(POLLOUT) }
        case .pausing(let until): end = end.map { min($0, until) } ?? until
        case .connecting: break
        }
        let limit = end.map(milliseconds(until:)) ?? -1
        withUnsafeMutableBytes(of: &entries) { buffer in
            let descriptors = buffer.bindMemory(to: pollfd.self).baseAddress
            if limit != 0, anticipates({ poll(descriptors, 2, 0) != 0 }) { return }
            // An interrupted or failed wait is as good as one that ended: everything is looked at anyway.
            _ = poll(descriptors, 2, limit)
        }
        if entries.0.revents != 0 { wakeUp.clear() }
        isReadable = entries.1.revents != 0
    }

    /// Looks for the next event of a lone caller without sleeping; false if that is not worthwhile or found nothing.
    ///
    /// Several callers gain more from commands that travel together, which collect while this thread sleeps. That they
    /// have all been answered this moment does not make the first of them to come back a lone one.
    private func anticipates(_ hasEvent: () -> Bool) -> Bool {
        guard wasActive, loneCalls >= 4, case .connected = link else { return false }
        wasActive = false
        let isOwed = !sent.isEmpty
        guard isOwed ? replyAnticipation.isWorthwhile() : callAnticipation.isWorthwhile() else { return false }
        let end = ContinuousClock.now + Anticipation.limit
        var isFound = hasEvent()
        while !isFound, .now < end {
            // Whoever shares the processor comes first; it may well be the server or the caller.
            sched_yield()
            isFound = hasEvent()
        }
        if isOwed { replyAnticipation.ended(found: isFound) } else { callAnticipation.ended(found: isFound) }
        return isFound
    }

    private func receive() {
        guard isReadable, case .connected(let connection, _) = link else { return }
        wasActive = true
        do throws(RedisError) {
            try connection.read()
            while let reply = try connection.nextReply() {
                try pair(reply)
            }
            if isRetiring, sent.isEmpty { lose(because: .readOnly) }
        } catch {
            lose(because: error)
        }
    }

    private func pair(_ reply: RedisValue) throws(RedisError) {
        guard let call = sent.first else {
            throw .protocolError(message: "a reply that nobody asked for", wasSent: true)
        }
        call.owed -= 1
        if case .error(let message) = reply {
            let error = RedisError(reply: message)
            if error == .readOnly { isRetiring = true }
            if !call.isAnswered { call.replies.append(.failure(error)) }
        } else if !call.isAnswered {
            call.replies.append(.success(reply))
        }
        guard call.owed == 0 else { return }
        _ = sent.popFirst()
        answer(call)
    }

    private func checkDeadlines() {
        guard let nextCheck, case let now = ContinuousClock.now, now >= nextCheck else { return }
        self.nextCheck = nil
        var hasWaitedInVain = false
        unsent.removeAll { call in
            guard !call.isAnswered, call.deadline <= now else { return call.isAnswered }
            answer(call, .timedOut(after: call.limit, wasSent: false))
            hasWaitedInVain = true
            return true
        }
        unsent.forEach { look(at: $0) }
        if hasWaitedInVain, outage == nil {
            outage = .timedOut(after: configuration.commandTimeout, wasSent: false)
        }
        var isStuck = false
        sent.forEach { call in
            if call.deadline <= now { answer(call, .timedOut(after: call.limit, wasSent: true)) }
            if call.patienceEnd <= now { isStuck = true }
            look(at: call)
        }
        // The late reply must never meet another command, and the calls behind it would wait in vain.
        if isStuck { lose(because: .timedOut(after: configuration.commandTimeout, wasSent: true)) }
    }
}
