internal import CShims
internal import Glibc

/// A listening TCP socket.
///
/// It is not libmicrohttpd's, for two reasons: the library does not say why listening failed, and its way to stop
/// accepting (`MHD_quiesce_daemon`) changes the epoll set behind the polling thread, which aborts the process when it
/// loses that race. Handing accepted sockets over costs one wake-up a connection.
struct ListenSocket: Sendable {
    let descriptor: Int32
    /// The port it is bound to, also when a free one was asked for.
    let port: Int

    init(host: String, port: Int) throws(HTTPServerError) {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
            descriptor = try Self.listen(on: &v4, family: AF_INET, host: host, port: port)
        } else if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = in_port_t(truncatingIfNeeded: port).bigEndian
            descriptor = try Self.listen(on: &v6, family: AF_INET6, host: host, port: port)
        } else {
            throw .invalidAddress(host: host)
        }
        self.port = Self.boundPort(descriptor)
    }

    /// Refuses connections from now on, those waiting in the backlog included. Called once.
    func close() {
        Glibc.close(descriptor)
    }

    /// What came of one attempt to accept.
    enum Accepted {
        case connection(Int32, sockaddr_storage, socklen_t)
        case none
        case failed(Int32)
    }

    func accept() -> Accepted {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let client = withUnsafeMutableBytes(of: &address) { bytes in
            cshims_accept(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size)
        }
        if client >= 0 { return .connection(client, address, size) }
        switch errno {
        // Nobody is waiting (any more): the client may have left between the wake-up and the call.
        case EAGAIN, EINTR, ECONNABORTED, EPROTO: return .none
        case let code: return .failed(code)
        }
    }

    private static func listen<Address>(
        on address: inout Address,
        family: Int32,
        host: String,
        port: Int
    ) throws(HTTPServerError) -> Int32 {
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(family, Int32(type), 0)
        guard descriptor >= 0 else { throw .system(operation: "socket", code: errno) }
        // A restarted server must not wait for the old one's connections to leave TIME_WAIT.
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let size = socklen_t(MemoryLayout<Address>.size)
        let bound = withUnsafeBytes(of: &address) { bytes in
            guard let start = bytes.baseAddress else { return Int32(-1) }
            return bind(descriptor, start.assumingMemoryBound(to: sockaddr.self), size)
        }
        guard bound == 0, Glibc.listen(descriptor, SOMAXCONN) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            switch code {
            case EADDRINUSE: throw .addressInUse(host: host, port: port)
            case EACCES, EPERM: throw .permissionDenied(host: host, port: port)
            case EADDRNOTAVAIL: throw .addressUnavailable(host: host)
            default: throw .system(operation: "bind", code: code)
            }
        }
        return descriptor
    }

    private static func boundPort(_ descriptor: Int32) -> Int {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let start = bytes.baseAddress,
                getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &size) == 0
            else { return 0 }
            // The port follows the family in both address types, in network order.
            return Int(bytes[2]) << 8 | Int(bytes[3])
        }
    }
}
