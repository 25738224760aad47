internal import CShims
internal import Glibc
internal import Synchronization

/// What other threads tell the watchdog.
final class WatchdogInbox: Sendable {
    /// Order to stop the daemon.
    struct Stop: Sendable {
        /// When pending requests stop being waited for, on the monotonic clock in nanoseconds.
        let graceDeadline: UInt64
        /// Called on the watchdog's thread, last.
        let completion: @Sendable () -> Void
    }

    private struct State {
        var lingering: [Int32] = []
        var stop: Stop?
    }

    /// Sockets waiting to be read empty, at most; beyond it they are closed at once.
    private static let maxLingering = 128
    /// Bytes read in one go from a socket that is being closed.
    private static let maxReadAtClose = 16_384

    /// Readable when there is news.
    let event: Int32
    private let state = Mutex(State())

    /// - Throws: `.system` if there is no file descriptor left.
    init() throws(HTTPServerError) {
        event = cshims_eventfd()
        guard event >= 0 else { throw .system(operation: "eventfd", code: errno) }
    }

    deinit {
        for socket in state.withLock({ $0.lingering }) { close(socket) }
        close(event)
    }

    func wake() {
        var one: UInt64 = 1
        // A full counter is awake already.
        _ = write(event, &one, MemoryLayout<UInt64>.size)
    }

    func requestStop(_ stop: Stop) {
        state.withLock { $0.stop = stop }
        wake()
    }

    /// The news since the last call.
    func take() -> (lingering: [Int32], stop: Stop?) {
        var count: UInt64 = 0
        _ = read(event, &count, MemoryLayout<UInt64>.size)
        return state.withLock { state in
            defer { state = State() }
            return (state.lingering, state.stop)
        }
    }

    /// Keeps the client from losing its answer when a connection closes while it still sends.
    ///
    /// Closing a socket with unread bytes resets the connection, and the reset can overtake the response. So a second
    /// descriptor keeps the connection half open until the client has finished or its time is over. The library has
    /// taken the socket out of its epoll set by itself when it closes its own descriptor.
    func lingerIfNeeded(_ record: ConnectionRecord) {
        // Every accepted socket is non-blocking.
        let count = withUnsafeTemporaryAllocation(byteCount: Self.maxReadAtClose, alignment: 1) { buffer in
            recv(record.socket, buffer.baseAddress, buffer.count, 0)
        }
        // 0: the client has closed. -1 without unread request bytes: there is nothing that could cause a reset.
        guard count > 0 || (count < 0 && errno == EAGAIN && record.wasCutShort.load(ordering: .relaxed)) else { return }
        shutdown(record.socket, Int32(SHUT_WR))
        let socket = fcntl(record.socket, F_DUPFD_CLOEXEC, 0)
        guard socket >= 0 else { return }
        let isAccepted = state.withLock { state in
            guard state.lingering.count < Self.maxLingering else { return false }
            state.lingering.append(socket)
            return true
        }
        if isAccepted { wake() } else { close(socket) }
    }
}
