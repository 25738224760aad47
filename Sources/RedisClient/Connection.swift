internal import CHiredis
import Glibc

/// A connected socket with hiredis' buffers and parser; its descriptor never blocks.
///
/// `@unchecked Sendable`: one thread at a time touches it, the connecting one until it hands the connection over
/// through an inbox, and from then on the thread that reads this inbox.
final class Connection: @unchecked Sendable {
    private let context: UnsafeMutablePointer<redisContext>
    /// Where it leads, for errors.
    let address: String
    /// Whether hiredis still holds bytes that the socket did not take.
    private(set) var hasUnsentBytes = false

    /// Takes the descriptor over, also when it throws.
    init(descriptor: Int32, address: String) throws(RedisError) {
        guard let context = redisConnectFd(descriptor) else {
            close(descriptor)
            throw .refused(address: address, reason: "no memory")
        }
        chiredis_set_nonblocking(context)
        self.context = context
        self.address = address
    }

    deinit {
        redisFree(context)
    }

    var descriptor: Int32 { context.pointee.fd }

    /// Copies encoded commands behind what waits to be sent.
    func append(_ bytes: [UInt8]) throws(RedisError) {
        let code = bytes.withUnsafeBytes { buffer in
            // Only read, and as bytes: hiredis' type is that of C strings.
            redisAppendFormattedCommand(context, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count)
        }
        guard code == REDIS_OK else { throw failure() }
        hasUnsentBytes = true
    }

    /// Sends as much as the socket takes now.
    func flush() throws(RedisError) {
        guard hasUnsentBytes else { return }
        var isDone: Int32 = 0
        guard redisBufferWrite(context, &isDone) == REDIS_OK else { throw failure() }
        hasUnsentBytes = isDone == 0
    }

    /// Reads what has arrived, up to 16 KiB; `nextReply()` takes it apart.
    func read() throws(RedisError) {
        guard redisBufferRead(context) == REDIS_OK else { throw failure() }
    }

    /// The next complete reply, if there is one.
    func nextReply() throws(RedisError) -> RedisValue? {
        var pointer: UnsafeMutableRawPointer?
        guard redisGetReplyFromReader(context, &pointer) == REDIS_OK else { throw failure() }
        guard let pointer else { return nil }
        defer { freeReplyObject(pointer) }
        return RedisValue(pointer.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private func failure() -> RedisError {
        switch context.pointee.err {
        case REDIS_ERR_PROTOCOL:
            let text = withUnsafeBytes(of: context.pointee.errstr) { buffer in
                String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
            }
            return .protocolError(message: RedisError.line(text), wasSent: true)
        case REDIS_ERR_OOM: return .refused(address: address, reason: "no memory")
        default: return .reset(wasSent: true)
        }
    }
}

/// For threads that may wait: those that make connections or listen.
extension Connection {
    /// Hands one command to the socket, or the part of it that the socket takes now.
    func send(_ command: RedisCommand) throws(RedisError) {
        var bytes: [UInt8] = []
        command.encode(into: &bytes)
        try append(bytes)
        try flush()
    }

    /// Sends one command and waits for its reply.
    func exchange(_ command: RedisCommand, patience: Patience, limit: Duration) throws(RedisError) -> RedisValue {
        try send(command)
        return try awaitReply(patience: patience, limit: limit)
    }

    /// Waits for the next reply while sending what is left to send.
    func awaitReply(patience: Patience, limit: Duration) throws(RedisError) -> RedisValue {
        while true {
            if let reply = try nextReply() { return reply }
            let events = hasUnsentBytes ? POLLIN | POLLOUT : POLLIN
            switch patience.wait(for: events, on: descriptor) {
            case .ready:
                try flush()
                try read()
            case .late: throw .timedOut(after: limit, wasSent: true)
            case .interrupted: throw .closed(wasSent: true)
            }
        }
    }
}
