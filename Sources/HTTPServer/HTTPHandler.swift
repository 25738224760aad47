/// What the application does with requests. Both request calls run on the server's own thread and must not block.
public protocol HTTPHandler: Sendable {
    /// Called once the header has arrived, before any byte of the body; `request.body` is empty.
    ///
    /// - Returns: nil to go on, or the answer that refuses the request at once. If a body was announced it is not read,
    ///   and the connection closes after the answer; without one the connection stays usable.
    func admit(_ request: ServerRequest) -> ServerResponse?

    /// Called once the whole request has arrived within its limits.
    func handle(_ request: ServerRequest) -> Handling

    /// Makes the response for what the server itself refuses, so that the application's error documents are used.
    ///
    /// - Parameters:
    ///   - refusal: Why. The connection closes after all but `overloaded` and `draining` refusals of a whole request.
    ///   - request: nil when the header was too malformed to be represented.
    /// - Returns: The document to send.
    func refusal(_ refusal: ServerRefusal, request: ServerRequest?) -> ServerResponse
}

/// How a request is answered.
public enum Handling: Sendable {
    /// The answer is ready and is sent from the server's own thread: the fast path.
    case finished(ServerResponse)
    /// The answer takes time. The work is started through the server's spawner and must have its own deadline: a client
    /// that hangs up goes unnoticed until the work returns, and its response is then dropped. The work is cancelled
    /// only when the server stops before it returned.
    case pending(@Sendable () async -> ServerResponse)
}
