import CCurl
import Glibc
import Synchronization

/// Makes libcurl's sockets and knows how many are open.
final class SocketKeeper: Sendable {
    /// The inode of each socket made, by descriptor. May hold closed ones: this version of libcurl closes an attempt
    /// that did not become a connection without telling. An inode shows whether a descriptor is still that socket.
    private let sockets = Mutex<[curl_socket_t: ino_t]>([:])
    private let unacknowledgedMilliseconds: Int32

    init(unacknowledgedDataLimit: Duration) {
        unacknowledgedMilliseconds = Int32(clamping: unacknowledgedDataLimit.roundedUpMilliseconds)
    }

    /// Sockets open now, connecting and idle ones included. Asks the kernel about each.
    var count: Int {
        sockets.withLock { sockets in
            sockets = sockets.filter { descriptor, inode in Self.inode(of: descriptor) == inode }
            return sockets.count
        }
    }

    /// A socket that no child process inherits: by itself this version of libcurl makes them without close-on-exec.
    fileprivate func open(family: Int32, kind: Int32, protocolNumber: Int32) -> curl_socket_t {
        let descriptor = socket(family, kind | Int32(SOCK_CLOEXEC.rawValue), protocolNumber)
        guard descriptor >= 0 else { return descriptor }
        if let inode = Self.inode(of: descriptor) { sockets.withLock { $0[descriptor] = inode } }
        var limit = unacknowledgedMilliseconds
        // Best effort: without it a dead path is noticed later, by the deadlines.
        _ = setsockopt(
            descriptor,
            Int32(IPPROTO_TCP),
            TCP_USER_TIMEOUT,
            &limit,
            socklen_t(MemoryLayout<Int32>.size)
        )
        return descriptor
    }

    fileprivate func close(_ descriptor: curl_socket_t) -> Int32 {
        _ = sockets.withLock { $0.removeValue(forKey: descriptor) }
        return Glibc.close(descriptor)
    }

    private static func inode(of descriptor: curl_socket_t) -> ino_t? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status.st_ino : nil
    }
}

/// libcurl needs a new socket; on the loop thread.
func onOpenSocket(
    context: UnsafeMutableRawPointer?,
    purpose: curlsocktype,
    address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let address else { return -1 }
    return Unmanaged<SocketKeeper>.fromOpaque(context).takeUnretainedValue().open(
        family: address.pointee.family,
        kind: address.pointee.socktype,
        protocolNumber: address.pointee.protocol
    )
}

/// libcurl is done with a socket; on the loop thread, possibly long after the transfer that opened it.
func onCloseSocket(context: UnsafeMutableRawPointer?, descriptor: curl_socket_t) -> Int32 {
    guard let context else { return Glibc.close(descriptor) }
    return Unmanaged<SocketKeeper>.fromOpaque(context).takeUnretainedValue().close(descriptor)
}

extension Duration {
    /// Whole milliseconds, rounded up and clamped to what fits.
    var roundedUpMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < Int64.max / 1000 - 1 else { return .max }
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
