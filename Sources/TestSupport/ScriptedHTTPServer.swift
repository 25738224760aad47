import Glibc
import LoopThread
import Synchronization

/// An HTTP/1.1 server on a loopback port, a thread per connection, that does to each request what a script says.
///
/// It reads requests strictly (header section, then `Content-Length` bytes) and keeps connections alive.
public final class ScriptedHTTPServer: Sendable {
    /// One request as it arrived.
    public struct Request: Sendable {
        /// The method, as sent.
        public var method: String
        /// The request target, as sent.
        public var path: String
        /// The field lines in order, names in lower case.
        public var headers: [(name: String, value: String)]
        /// The body.
        public var body: [UInt8]
        /// Counts connections from 1.
        public var connection: Int
        /// Counts requests on the connection from 1.
        public var numberOnConnection: Int

        /// The first value of a field, by its name in lower case.
        public func header(_ name: String) -> String? {
            headers.first { $0.name == name }?.value
        }
    }

    /// What happens to a request.
    public enum Behaviour: Sendable {
        /// A complete response; the connection stays open.
        case reply(status: Int = 200, headers: [(String, String)] = [], body: [UInt8] = [])
        /// These bytes, and then the connection stays open.
        case bytes([UInt8])
        /// Nothing until the peer hangs up or the server stops.
        case hang
        /// The head of a response with a large `Content-Length`, then one body byte each interval.
        case drip(interval: Duration)
        /// The connection is reset (RST).
        case reset
        /// The connection is closed without a byte.
        case close
        /// These bytes, then the connection is closed.
        case bytesThenClose([UInt8])
        /// `count` bytes of body, announced or chunked.
        case huge(count: Int, announced: Bool)
    }

    private struct State {
        var requests: [Request] = []
        var openSockets: Set<Int32> = []
        var connections = 0
        var mostOpen = 0
        var isStopped = false
    }

    /// The port it listens on, on 127.0.0.1.
    public let port: Int
    let script: @Sendable (Request) -> Behaviour
    private let recordsRequests: Bool
    private let resetsConnections: Bool
    private let listener: Int32
    private let state = Mutex(State())

    /// Starts listening.
    ///
    /// - Parameters:
    ///   - recordsRequests: Off for long runs.
    ///   - resetsConnections: Every connection is reset (RST) when its first bytes arrive; the script is not asked.
    ///   - script: Called once per request, on the connection's thread.
    /// - Throws: If there is no socket or thread.
    public init(
        recordsRequests: Bool = true,
        resetsConnections: Bool = false,
        _ script: @escaping @Sendable (Request) -> Behaviour
    ) throws {
        self.script = script
        self.recordsRequests = recordsRequests
        self.resetsConnections = resetsConnections
        (listener, port) = try Self.listen()
        try SystemThread.start(name: "scripted-http") { [listener] in
            while true {
                let socket = accept4(listener)
                guard socket >= 0 else { break }
                guard let number = self.register(socket) else {
                    _ = close(socket)
                    break
                }
                do {
                    try SystemThread.start(name: "scripted-conn") {
                        let connection = ScriptedConnection(socket: socket, number: number, server: self)
                        if self.resetsConnections { connection.reset() } else { connection.run() }
                    }
                } catch {
                    self.unregister(socket)
                }
            }
            _ = close(listener)
        }
    }

    /// The base URL, without a final slash.
    public var url: String { "http://127.0.0.1:\(port)" }
    /// Every request so far, if they are recorded.
    public var requests: [Request] { state.withLock { $0.requests } }
    /// Connections accepted so far.
    public var connectionCount: Int { state.withLock { $0.connections } }
    /// Connections open now.
    public var openConnectionCount: Int { state.withLock { $0.openSockets.count } }
    /// The most connections that were open at the same time.
    public var mostOpenConnections: Int { state.withLock { $0.mostOpen } }

    /// Closes the listener and every connection; their threads end soon after.
    public func stop() {
        state.withLock { state in
            state.isStopped = true
            // Under the lock: a connection closes its socket only after taking it out of the set.
            for socket in state.openSockets { _ = shutdown(socket, Int32(SHUT_RDWR)) }
        }
        _ = shutdown(listener, Int32(SHUT_RDWR))
    }

    func record(_ request: Request) {
        if recordsRequests { state.withLock { $0.requests.append(request) } }
    }

    func unregister(_ socket: Int32) {
        _ = state.withLock { $0.openSockets.remove(socket) }
        _ = close(socket)
    }

    private func register(_ socket: Int32) -> Int? {
        state.withLock { state in
            guard !state.isStopped else { return nil }
            state.connections += 1
            state.openSockets.insert(socket)
            state.mostOpen = max(state.mostOpen, state.openSockets.count)
            return state.connections
        }
    }

    private static func listen() throws -> (socket: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ScriptedServerError(code: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && Glibc.listen(descriptor, 1024) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isListening else {
            let code = errno
            close(descriptor)
            throw ScriptedServerError(code: code)
        }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }
}

/// The server could not listen.
public struct ScriptedServerError: Error, Sendable {
    /// The `errno`.
    public let code: Int32
}

/// `accept` without leaving the socket to child processes of other tests for longer than a moment.
private func accept4(_ listener: Int32) -> Int32 {
    let descriptor = accept(listener, nil, nil)
    if descriptor >= 0 {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var one: Int32 = 1
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }
    return descriptor
}
