internal import Glibc

/// The half-closed sockets that are read empty before they are closed. Used by one thread.
struct LingeringSockets {
    /// How long a client may take to notice the end of the connection.
    private static let allowance: UInt64 = 2_000_000_000
    private static let maxCount = 128
    private static let maxBytes = 16 << 20

    private var sockets: [(descriptor: Int32, deadline: UInt64, bytes: Int)] = []

    var isEmpty: Bool { sockets.isEmpty }

    mutating func add(_ descriptors: [Int32], now: UInt64) {
        for descriptor in descriptors {
            if sockets.count < Self.maxCount {
                sockets.append((descriptor, now + Self.allowance, 0))
            } else {
                close(descriptor)
            }
        }
    }

    /// Waits until the event is signalled, a client is waiting, a socket has something, or the time is over.
    ///
    /// - Parameters:
    ///   - event: A descriptor that becomes readable when there is news.
    ///   - listener: The listening socket; -1 to leave waiting clients alone.
    ///   - milliseconds: -1 for ever.
    /// - Returns: Whether a client is waiting to be accepted.
    mutating func wait(event: Int32, listener: Int32, milliseconds: Int32) -> Bool {
        var polled = [
            pollfd(fd: event, events: Int16(POLLIN), revents: 0),
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
        ]
        for socket in sockets { polled.append(pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)) }
        guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return false }
        if !sockets.isEmpty { readAway(polled.dropFirst(2)) }
        return polled[1].revents != 0
    }

    private mutating func readAway(_ polled: ArraySlice<pollfd>) {
        var remaining: [(descriptor: Int32, deadline: UInt64, bytes: Int)] = []
        for (var socket, state) in zip(sockets, polled) {
            if state.revents != 0 {
                let count = Self.readAway(socket.descriptor)
                socket.bytes += max(count, 0)
                if count <= 0 || socket.bytes > Self.maxBytes {
                    close(socket.descriptor)
                    continue
                }
            }
            remaining.append(socket)
        }
        sockets = remaining
    }

    private static func readAway(_ descriptor: Int32) -> Int {
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
            recv(descriptor, buffer.baseAddress, buffer.count, 0)
        }
    }

    mutating func closeOverdue(now: UInt64) {
        for socket in sockets where socket.deadline <= now { close(socket.descriptor) }
        sockets.removeAll { $0.deadline <= now }
    }

    mutating func closeAll() {
        for socket in sockets { close(socket.descriptor) }
        sockets = []
    }
}
