/// Why a command has no reply. Carries no argument of a command, no user and no password.
///
/// `wasSent` is false only if certainly nothing of the command was given to a connection.
public enum RedisError: Error, Sendable, Hashable {
    /// The reply, or a connection to send the command on, did not come in time.
    case timedOut(after: Duration, wasSent: Bool)
    /// No connection could be made, or the server turned it away.
    case refused(address: String, reason: String)
    /// The connection ended before the reply came.
    case reset(wasSent: Bool)
    /// Wrong user or password, login needed, or a command that the user may not give.
    case auth(message: String)
    /// The server is still reading its data from disk.
    case loading
    /// The server is a replica: the master moved. The client connects anew by itself.
    case readOnly
    /// The server does not know the script.
    case noScript
    /// The peer sent something that is not Redis' protocol.
    case protocolError(message: String, wasSent: Bool)
    /// Any other error that Redis replied, as it said it. The command may have been done in part.
    case server(message: String)
    /// The calling task was cancelled.
    case cancelled(wasSent: Bool)
    /// The client was closed, before or during the call.
    case closed(wasSent: Bool)
    /// `limit` commands were waiting for an answer already.
    case queueFull(limit: Int)
    /// The command cannot be sent on a connection that many callers share.
    case invalidCommand(reason: String)
    /// The client cannot be made: bad URL or configuration, or no memory or thread.
    case unusable(reason: String)

    /// False only if the server has certainly not carried out the command, so that repeating it cannot do it twice.
    public var mayHaveReachedServer: Bool {
        switch self {
        case .timedOut(_, let wasSent), .reset(let wasSent), .protocolError(_, let wasSent), .cancelled(let wasSent),
            .closed(let wasSent):
            wasSent
        case .server: true
        // These arrived too, but Redis checks all four before it does anything.
        case .auth, .loading, .readOnly, .noScript: false
        case .refused, .queueFull, .invalidCommand, .unusable: false
        }
    }

    /// Whether trying again soon may help; whether it is safe, `mayHaveReachedServer` says.
    public var isTransient: Bool {
        switch self {
        case .timedOut, .refused, .reset, .loading, .readOnly, .protocolError: true
        case .auth, .noScript, .server, .cancelled, .closed, .queueFull, .invalidCommand, .unusable: false
        }
    }
}

extension RedisError: CustomStringConvertible {
    /// One line for a log; free of secrets.
    public var description: String {
        switch self {
        case .timedOut(let after, let wasSent):
            "\(wasSent ? "no reply of Redis" : "no connection to Redis") after \(after)"
        case .refused(let address, let reason): "no connection to Redis at \(address): \(reason)"
        case .reset: "connection to Redis ended before the reply"
        case .auth(let message): "Redis refused the login or the command: \(message)"
        case .loading: "Redis is still loading its data"
        case .readOnly: "Redis is a read-only replica"
        case .noScript: "Redis does not know the script"
        case .protocolError(let message, _): "not Redis' protocol: \(message)"
        case .server(let message): "Redis replied \(message)"
        case .cancelled: "call to Redis cancelled"
        case .closed: "Redis client closed"
        case .queueFull(let limit): "\(limit) commands are waiting for Redis already"
        case .invalidCommand(let reason): "invalid Redis command: \(reason)"
        case .unusable(let reason): "Redis client cannot be made: \(reason)"
        }
    }
}

extension RedisError {
    /// Sorts an error reply by its first word.
    init(reply message: String) {
        switch message.prefix(while: { $0 != " " }) {
        case "LOADING": self = .loading
        case "READONLY": self = .readOnly
        case "NOSCRIPT": self = .noScript
        case "NOAUTH", "WRONGPASS", "NOPERM": self = .auth(message: Self.line(message))
        // Before Redis 7 the error of a command within a script was wrapped.
        case "ERR" where message.hasPrefix("ERR Error running script") && message.contains("-READONLY "):
            self = .readOnly
        default: self = .server(message: Self.line(message))
        }
    }

    /// The same failure for a command that was never given to the connection that failed.
    var beforeSending: RedisError {
        switch self {
        case .timedOut(let after, _): .timedOut(after: after, wasSent: false)
        case .reset: .reset(wasSent: false)
        case .protocolError(let message, _): .protocolError(message: message, wasSent: false)
        case .cancelled: .cancelled(wasSent: false)
        case .closed: .closed(wasSent: false)
        case .refused, .auth, .loading, .readOnly, .noScript, .server, .queueFull, .invalidCommand, .unusable: self
        }
    }

    /// A foreign text, short and on one line.
    static func line(_ text: String) -> String {
        let printable = text.prefix(200).map { character in
            let isControl = character.asciiValue.map { $0 < 0x20 || $0 == 0x7F } ?? false
            return isControl || character.isNewline ? " " : character
        }
        return String(printable)
    }
}
