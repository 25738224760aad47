/// Hears what happens in a server, for metrics. Called on the server's threads and in the hot path: must not block.
public protocol HTTPServerObserver: Sendable {
    /// A client connected.
    func connectionOpened()
    /// A connection ended, for whatever reason; pairs with `connectionOpened`.
    func connectionClosed()
    /// A request line has arrived.
    func requestStarted()
    /// A request ended: answered, refused or abandoned; pairs with `requestStarted`.
    ///
    /// - Parameter status: The status sent (or being sent when the client left); nil if there was no answer.
    func requestFinished(status: Int?)
    /// The server refused a request on its own. What the C library refuses in its own words (an unparsable request
    /// line, a bad chunk) shows only as the status of `requestFinished`.
    func requestRefused(_ refusal: ServerRefusal)
    /// A waiting client could not be accepted, most often for lack of file descriptors; tried again shortly.
    ///
    /// - Parameter code: errno.
    func acceptFailed(code: Int32)
    /// A connection was cut because its deadline passed.
    func deadlinePassed(_ deadline: ConnectionDeadline)
}

/// The deadlines a connection lives under, one at a time.
public enum ConnectionDeadline: String, Hashable, Sendable, CaseIterable {
    /// Header and body have to arrive.
    case arrival
    /// The response has to be read by the client.
    case sending
    /// The next request has to begin.
    case idle
}

extension HTTPServerObserver {
    /// Ignores the event.
    public func connectionOpened() {}
    /// Ignores the event.
    public func connectionClosed() {}
    /// Ignores the event.
    public func requestStarted() {}
    /// Ignores the event.
    public func requestFinished(status: Int?) {}
    /// Ignores the event.
    public func requestRefused(_ refusal: ServerRefusal) {}
    /// Ignores the event.
    public func acceptFailed(code: Int32) {}
    /// Ignores the event.
    public func deadlinePassed(_ deadline: ConnectionDeadline) {}
}
