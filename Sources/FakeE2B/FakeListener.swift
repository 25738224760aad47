internal import Glibc
internal import LoopThread
internal import Synchronization

/// A listening port on loopback with a thread per connection. It can be closed and opened again at the same port.
final class FakeListener: Sendable {
    private struct State {
        var descriptor: Int32?
        var connections: [Int32: FakeConnection] = [:]
    }

    let port: UInt16
    private let state: Mutex<State>
    private let serve: @Sendable (FakeConnection) -> Void

    /// Listens at `port`, or at any free one for 0.
    init(port: UInt16, serve: @escaping @Sendable (FakeConnection) -> Void) throws(FakeE2BError) {
        let descriptor = try Self.listen(at: port)
        self.port = Self.port(of: descriptor)
        self.serve = serve
        state = Mutex(State(descriptor: descriptor))
        try accept(on: descriptor)
    }

    /// Refuses connections from now on and breaks those there are.
    func close() {
        let (descriptor, connections) = state.withLock { state in
            defer { state.descriptor = nil }
            return (state.descriptor, state.connections.values)
        }
        // The accepting thread wakes up, sees that it is over, and closes the descriptor.
        if let descriptor { shutdown(descriptor, Int32(SHUT_RDWR)) }
        for connection in connections { connection.shutDown() }
    }

    /// Accepts again; does nothing while it does.
    func open() throws(FakeE2BError) {
        guard state.withLock({ $0.descriptor == nil }) else { return }
        let descriptor = try Self.listen(at: port)
        state.withLock { $0.descriptor = descriptor }
        try accept(on: descriptor)
    }

    private func accept(on descriptor: Int32) throws(FakeE2BError) {
        do throws(ThreadStartError) {
            try SystemThread.start(name: "fake-accept") { [self] in
                while true {
                    let accepted = Glibc.accept(descriptor, nil, nil)
                    if accepted < 0, errno == EINTR || errno == ECONNABORTED { continue }
                    guard accepted >= 0 else { break }
                    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                    start(FakeConnection(accepted))
                }
                Glibc.close(descriptor)
            }
        } catch {
            throw FakeE2BError(reason: "no thread (errno \(error.code))")
        }
    }

    private func start(_ connection: FakeConnection) {
        let isOpen = state.withLock { state in
            state.connections[connection.descriptor] = connection
            return state.descriptor != nil
        }
        // Without a thread the connection is dropped, as a server without one would.
        try? SystemThread.start(name: "fake-connection") { [self] in
            if isOpen { serve(connection) }
            connection.shutDown()
            state.withLock { _ = $0.connections.removeValue(forKey: connection.descriptor) }
        }
    }

    // MARK: Sockets

    private static func listen(at port: UInt16) throws(FakeE2BError) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw FakeE2BError(reason: "no socket (errno \(errno))") }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, Glibc.listen(descriptor, 512) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw FakeE2BError(reason: "cannot listen on port \(port) (errno \(code))")
        }
        return descriptor
    }

    private static func port(of descriptor: Int32) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}

/// The fake cannot start.
public struct FakeE2BError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why, in words.
    public var reason: String
    /// The reason.
    public var description: String { reason }
}
