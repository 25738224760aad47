/// The classes that commands are counted in.
public enum RedisCommandKind: String, Sendable, Hashable, CaseIterable {
    /// GET.
    case get
    /// SET.
    case set
    /// EVALSHA.
    case evalsha
    /// PING.
    case ping
    /// Everything else.
    case other

    static let names: [(kind: RedisCommandKind, name: [UInt8])] = [
        (.get, Array("GET".utf8)), (.set, Array("SET".utf8)), (.evalsha, Array("EVALSHA".utf8)),
        (.ping, Array("PING".utf8)),
    ]
}

/// How an attempt of a command ended; the raw values are meant as metric labels.
public enum RedisOutcome: String, Sendable, Hashable, CaseIterable {
    /// A value.
    case ok
    /// The reply was "no value".
    case null = "nil"
    /// `RedisError.timedOut`.
    case timedOut = "timed_out"
    /// `RedisError.refused`.
    case refused
    /// `RedisError.reset`.
    case reset
    /// `RedisError.auth`.
    case auth
    /// `RedisError.loading`.
    case loading
    /// `RedisError.readOnly`.
    case readOnly = "readonly"
    /// `RedisError.protocolError`.
    case protocolError = "protocol"
    /// Every other error.
    case other

    /// Sorts a reply or error.
    init(_ result: Result<RedisValue, RedisError>) {
        switch result {
        case .success(.null): self = .null
        case .success: self = .ok
        case .failure(.timedOut): self = .timedOut
        case .failure(.refused): self = .refused
        case .failure(.reset): self = .reset
        case .failure(.auth): self = .auth
        case .failure(.loading): self = .loading
        case .failure(.readOnly): self = .readOnly
        case .failure(.protocolError): self = .protocolError
        case .failure: self = .other
        }
    }
}

/// What a connection is doing.
public enum RedisConnectionState: String, Sendable, Hashable, CaseIterable {
    /// Logged in and ready.
    case connected
    /// Being made, or waiting for the next attempt.
    case connecting
    /// Not there: before the start and after `close()`.
    case closed
}

/// Learns what a client does, for metrics. Calls come from several threads, without any lock held; they must return
/// at once and must not call the client.
public protocol RedisObserver: Sendable {
    /// An attempt of a command ended, a retry counting as another one.
    ///
    /// - Parameters:
    ///   - kind: What was sent.
    ///   - outcome: How it ended.
    ///   - duration: From the call, or the start of the retry, to the answer.
    func commandEnded(_ kind: RedisCommandKind, outcome: RedisOutcome, after duration: Duration)

    /// A command is about to be sent once more; called once for each command.
    ///
    /// - Parameter outcome: How the first attempt ended: one of the failures that are passing, such as `.timedOut`.
    func commandRetried(because outcome: RedisOutcome)

    /// The second attempt of a command failed too, in a way that a third might mend; the caller gets the error.
    func retryFailed()

    /// An attempt to connect ended; not called for a very first one that succeeds.
    func reconnectEnded(succeeded: Bool)

    /// One connection changed its state; there is one for commands and one for each subscription.
    func connectionChanged(from old: RedisConnectionState, to new: RedisConnectionState)
}

extension RedisObserver {
    /// Does nothing.
    public func commandEnded(_ kind: RedisCommandKind, outcome: RedisOutcome, after duration: Duration) {}

    /// Does nothing.
    public func commandRetried(because outcome: RedisOutcome) {}

    /// Does nothing.
    public func retryFailed() {}

    /// Does nothing.
    public func reconnectEnded(succeeded: Bool) {}

    /// Does nothing.
    public func connectionChanged(from old: RedisConnectionState, to new: RedisConnectionState) {}
}
