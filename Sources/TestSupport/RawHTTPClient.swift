#if canImport(Glibc)
    internal import Glibc
#endif

/// A blocking HTTP/1.1 client on one plain loopback socket, for tests that care about bytes.
///
/// It sends what it is given, well-formed or not, and reads responses one after the other. Every wait ends after the
/// receive timeout. Not meant to be shared between threads; call it from tests that may block.
public final class RawHTTPClient {
    /// Why there is no response.
    public enum Failure: Error, Hashable {
        /// Nobody listens there, or a system call failed; errno.
        case system(operation: String, code: Int32)
        /// Nothing came within the receive timeout.
        case timedOut
        /// The peer closed the connection before a whole response had arrived.
        case closed
        /// What came is not an HTTP response.
        case malformed(String)
    }

    /// One response.
    public struct Response: Sendable {
        /// The status code.
        public let status: Int
        /// Names in lower case with their values, in order of arrival.
        public let headers: [(name: String, value: String)]
        /// The body, as announced by `Content-Length` or up to the end of the connection.
        public let body: [UInt8]

        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }

        /// The first value of the header, whose name is given in lower case.
        public subscript(name: String) -> String? { headers.first { $0.name == name }?.value }
    }

    private var socket: Int32
    private var buffered: [UInt8] = []

    /// Connects.
    ///
    /// - Parameters:
    ///   - host: A numeric IPv4 or IPv6 address.
    ///   - port: The port.
    ///   - receiveTimeout: How long each read may wait.
    /// - Throws: `.system` with `ECONNREFUSED` if nobody listens.
    public init(host: String = "127.0.0.1", port: Int, receiveTimeout: Duration = .seconds(10)) throws(Failure) {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        let isV4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1
        guard isV4 || inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 else {
            throw .system(operation: "inet_pton", code: EINVAL)
        }
        let family = isV4 ? AF_INET : AF_INET6
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = v4.sin_port
        socket = Glibc.socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw .system(operation: "socket", code: errno) }
        var timeout = timeval()
        timeout.tv_sec = Int(receiveTimeout.components.seconds)
        timeout.tv_usec = Int(receiveTimeout.components.attoseconds / 1_000_000_000_000)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let connected =
            isV4 ? Self.connect(socket, &v4) : Self.connect(socket, &v6)
        guard connected == 0 else {
            let code = errno
            Glibc.close(socket)
            socket = -1
            throw .system(operation: "connect", code: code)
        }
    }

    private static func connect<Address>(_ socket: Int32, _ address: inout Address) -> Int32 {
        withUnsafeBytes(of: &address) { bytes in
            guard let start = bytes.baseAddress else { return -1 }
            return Glibc.connect(socket, start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }

    deinit {
        close()
    }

    /// Hangs up. Later calls fail; a second close does nothing.
    public func close() {
        if socket >= 0 { Glibc.close(socket) }
        socket = -1
    }

    /// Tells the peer that nothing more will be sent; responses can still be read.
    public func finishSending() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// Sends the text as it is.
    ///
    /// - Throws: `.system` with `EPIPE` or `ECONNRESET` if the peer has closed.
    public func send(_ text: String) throws(Failure) {
        try send(Array(text.utf8))
    }

    /// Sends the bytes as they are; see `send(_:)` for text.
    public func send(_ bytes: [UInt8]) throws(Failure) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                // Without a SIGPIPE when the peer has closed.
                Glibc.send(socket, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(noSignal))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(operation: "send", code: errno)
            }
            sent += count
        }
    }

    /// Sends a request with `Host` and, if there is a body, `Content-Length`, and reads its response.
    ///
    /// - Parameters:
    ///   - method: The method; the response to a HEAD is read without a body.
    ///   - target: The request target, already encoded.
    ///   - headers: Further header fields.
    ///   - body: Sent behind the header; nil for none.
    /// - Returns: The response.
    /// - Throws: `.closed`, `.timedOut`, `.malformed`, or `.system`.
    public func request(
        _ method: String,
        _ target: String,
        headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) throws(Failure) -> Response {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        try send(Array((head + "\r\n").utf8) + (body ?? []))
        return try readResponse(toHead: method == "HEAD")
    }

    /// Reads the next response.
    ///
    /// - Parameter toHead: Whether the request was a HEAD, whose response announces a body that does not follow.
    /// - Returns: The response; what was read beyond it is kept for the next.
    /// - Throws: `.closed`, `.timedOut`, `.malformed`, or `.system`.
    public func readResponse(toHead: Bool = false) throws(Failure) -> Response {
        var headEnd = headEndIndex
        while headEnd == nil {
            guard try readMore() else { throw .closed }
            headEnd = headEndIndex
        }
        guard let headEnd else { throw .closed }
        let lines = String(decoding: buffered[..<headEnd], as: UTF8.self).split(separator: "\r\n")
        buffered.removeFirst(headEnd + 4)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw .malformed(lines.first.map(String.init) ?? "")
        }
        let headers = lines.dropFirst().map { line -> (name: String, value: String) in
            let parts = line.split(separator: ":", maxSplits: 1)
            let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
            return (parts[0].lowercased(), String(value))
        }
        let body = try readBody(
            length: headers.first { $0.name == "content-length" }.flatMap { Int($0.value) },
            isAbsent: toHead || status < 200 || status == 204 || status == 304
        )
        return Response(status: status, headers: headers, body: body)
    }

    private func readBody(length: Int?, isAbsent: Bool) throws(Failure) -> [UInt8] {
        if isAbsent { return [] }
        guard let length else {
            while try readMore() {}
            defer { buffered = [] }
            return buffered
        }
        while buffered.count < length {
            guard try readMore() else { throw .closed }
        }
        defer { buffered.removeFirst(length) }
        return Array(buffered[..<length])
    }

    /// Waits for the peer to close the connection.
    ///
    /// - Returns: The bytes that came before the end; a reset counts as an end.
    /// - Throws: `.timedOut` if the connection is still open.
    public func readToEnd() throws(Failure) -> [UInt8] {
        while true {
            do {
                guard try readMore() else { break }
            } catch .system(_, ECONNRESET) {
                break
            }
        }
        defer { buffered = [] }
        return buffered
    }

    private var headEndIndex: Int? {
        guard buffered.count >= 4 else { return nil }
        return (0...(buffered.count - 4)).first { buffered[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10]) }
    }

    /// - Returns: false at the end of the stream.
    private func readMore() throws(Failure) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(socket, &chunk, chunk.count, 0)
            if count >= 0 {
                buffered += chunk[..<count]
                return count > 0
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: throw .timedOut
            case let code: throw .system(operation: "recv", code: code)
            }
        }
    }

    /// `MSG_NOSIGNAL`, which Swift does not import.
    private let noSignal = 0x4000
}
