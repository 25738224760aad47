/// What one caller wants answered: one command, or several that are sent in one go.
///
/// `@unchecked Sendable`: the caller sets it up before posting it to the loop; from then on only the loop's thread
/// touches its variables.
final class Call: @unchecked Sendable {
    typealias Replies = [Result<RedisValue, RedisError>]

    /// The number of replies that are due.
    let count: Int
    /// The caller's own time limit, for the error.
    let limit: Duration
    /// When the caller is answered at the latest.
    let deadline: ContinuousClock.Instant
    /// When the connection is given up if a reply is still owed. Not before the deadline; a caller in a hurry does not
    /// cost the others their connection.
    let patienceEnd: ContinuousClock.Instant
    /// The encoded commands; released once they were handed to hiredis.
    var bytes: [UInt8]
    /// Set before posting; taken by the answer. Resumed exactly once.
    var continuation: CheckedContinuation<Replies, Never>?
    var replies: Replies = []
    /// Replies still owed by the server; they go on counting when the caller was answered before.
    var owed: Int
    var isReceived = false
    var isCancelled = false
    var isSent = false

    init(_ commands: [RedisCommand], startedAt: ContinuousClock.Instant, limit: Duration, commandTimeout: Duration) {
        count = commands.count
        owed = commands.count
        self.limit = limit
        deadline = startedAt + min(limit, .seconds(1_000_000_000))
        patienceEnd = max(deadline, startedAt + commandTimeout)
        bytes = []
        bytes.reserveCapacity(commands.reduce(0) { $0 + $1.encodedCount })
        for command in commands { command.encode(into: &bytes) }
        replies.reserveCapacity(count)
    }

    var isAnswered: Bool { isReceived && continuation == nil }

    /// When the loop has to look at it again.
    var nextCheck: ContinuousClock.Instant { isAnswered ? patienceEnd : deadline }
}

/// What other threads tell the loop.
enum LoopMessage: Sendable {
    case call(Call)
    case cancel(Call)
    case attemptEnded(Result<Connection, RedisError>)
    /// Whether the sentinels name another master than the one at the address.
    case masterChecked(address: String, hasMoved: Bool)
}
