import Glibc

/// Makes connected sockets; blocks the calling thread, which must be one of our own.
///
/// hiredis could connect by itself, but not with a descriptor that is close-on-exec from its first moment (a child
/// process started meanwhile would inherit it), nor with one time limit over several addresses.
struct SocketDialer {
    let patience: Patience
    /// The whole limit, for the error.
    let limit: Duration

    /// - Returns: A non-blocking, close-on-exec socket that the caller closes.
    func connect(to address: RedisAddress) throws(RedisError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(address.host, String(address.port), &hints, &list)
        guard code == 0, let list else {
            throw .refused(address: address.description, reason: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        let candidates = sequence(first: list, next: { $0.pointee.ai_next }).map { $0.pointee }
        var failure = RedisError.timedOut(after: limit, wasSent: false)
        for (index, candidate) in candidates.enumerated() {
            let share = ContinuousClock.now.duration(to: patience.end) / (candidates.count - index)
            do throws(RedisError) {
                let descriptor = try connect(
                    candidate.ai_addr,
                    candidate.ai_addrlen,
                    family: candidate.ai_family,
                    name: address.description,
                    patience: patience.atMost(share)
                )
                configure(descriptor)
                return descriptor
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// - Returns: A non-blocking, close-on-exec socket that the caller closes.
    func connect(toSocket path: String) throws(RedisError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .refused(address: path, reason: "the path is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result: Result<Int32, RedisError> = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                let length = socklen_t(MemoryLayout<sockaddr_un>.size)
                do throws(RedisError) {
                    return .success(
                        try connect(pointer, length, family: AF_UNIX, name: path, patience: patience)
                    )
                } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }

    private func connect(
        _ address: UnsafePointer<sockaddr>?,
        _ length: socklen_t,
        family: Int32,
        name: String,
        patience: Patience
    ) throws(RedisError) -> Int32 {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(family, Int32(kind), 0)
        guard descriptor >= 0 else { throw .refused(address: name, reason: errorText(errno)) }
        do throws(RedisError) {
            if Glibc.connect(descriptor, address, length) != 0 {
                guard errno == EINPROGRESS else { throw .refused(address: name, reason: errorText(errno)) }
                guard patience.wait(for: POLLOUT, on: descriptor) == .ready else {
                    throw .timedOut(after: limit, wasSent: false)
                }
                var code: Int32 = 0
                var size = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
                guard code == 0 else { throw .refused(address: name, reason: errorText(code)) }
            }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Small requests go out at once, and a peer that vanished is noticed on an idle connection, after half a minute.
    private func configure(_ descriptor: Int32) {
        let options: [(level: Int, name: Int32, value: Int32)] = [
            (Int(IPPROTO_TCP), TCP_NODELAY, 1), (Int(SOL_SOCKET), SO_KEEPALIVE, 1),
            (Int(IPPROTO_TCP), TCP_KEEPIDLE, 15),
            (Int(IPPROTO_TCP), TCP_KEEPINTVL, 5), (Int(IPPROTO_TCP), TCP_KEEPCNT, 3),
        ]
        for option in options {
            // Best effort: the connection works without.
            var value = option.value
            _ = setsockopt(
                descriptor,
                Int32(option.level),
                option.name,
                &value,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
    }

    private func errorText(_ code: Int32) -> String {
        "\(strerror(code).map { String(cString: $0) } ?? "error") (errno \(code))"
    }
}
