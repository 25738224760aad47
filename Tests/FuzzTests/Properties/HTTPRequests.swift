import Glibc
import HTTPTypes
import Synchronization

@testable import HTTPServer

extension FuzzTarget {
    /// Bytes on a connection: a real server, on a socket, against a strict reader of RFC 9112.
    ///
    /// What the handler is given must be what the strict reader finds, in the same order; so nothing is smuggled past
    /// it, and what is ambiguous is refused. What the strict reader takes whole must be answered.
    static let httpRequests = FuzzTarget(name: "http-requests") { bytes in
        guard bytes.count <= 4096, let fixture = HTTPFixture.shared else { return [] }
        let (seen, reply) = fixture.exchange(bytes)
        var findings = Findings()
        let strict = StrictRequests.read(bytes)
        findings.expect(seen.count <= strict.count, "the handler saw \(seen), a strict reader \(strict)")
        for (one, other) in zip(seen, strict) { findings.expectEqual(one, other, "a request") }
        if !strict.isEmpty, strict[0].isPlain { findings.expect(!seen.isEmpty, "refused: \(strict[0])") }
        let text = String(decoding: reply, as: UTF8.self)
        findings.expect(reply.isEmpty || text.hasPrefix("HTTP/1."), "a reply that is none: \(text.prefix(100))")
        return findings.words
    }
}

/// A request as a handler sees it.
struct SeenRequest: Equatable, CustomStringConvertible {
    var method: String
    var target: String
    /// Names in lower case; sorted, as equal names may not be told apart by order.
    var headers: [String]
    var body: [UInt8]
    /// Whether nothing about it is a matter of taste: then a server must serve it.
    var isPlain = false

    var description: String { "\(method) \(target) \(headers) \(body.count) bytes" }

    static func == (left: Self, right: Self) -> Bool {
        left.method == right.method && left.target == right.target && left.headers == right.headers
            && left.body == right.body
    }
}

/// A server on a loopback port that notes what its handler was given.
private final class HTTPFixture: Sendable {
    private struct Noting: HTTPHandler {
        let seen: @Sendable (ServerRequest) -> Void

        func admit(_ request: ServerRequest) -> ServerResponse? { nil }

        func handle(_ request: ServerRequest) -> Handling {
            seen(request)
            return .finished(ServerResponse(status: 200))
        }

        func refusal(_ refusal: ServerRefusal, request: ServerRequest?) -> ServerResponse {
            ServerResponse(status: 400)
        }
    }

    private final class Notes: Sendable {
        let requests = Mutex<[SeenRequest]>([])
    }

    static let shared = HTTPFixture()

    private let notes = Notes()
    private let server: HTTPServer

    private init?() {
        let notes = notes
        let handler = Noting { request in
            let target = request.rawPath + (request.rawQuery.map { "?" + $0 } ?? "")
            let names = Dictionary(request.headers.fields.map { ($0.name.canonicalName, $0.name) }) { $1 }
            let headers = names.flatMap { name, field in request.headers[values: field].map { "\(name): \($0)" } }
            let one = SeenRequest(
                method: request.method.rawValue,
                target: target,
                headers: headers.sorted(),
                body: request.body
            )
            notes.requests.withLock { $0.append(one) }
        }
        // Short: libmicrohttpd does not notice the end of a connection that came together with its last bytes.
        var configuration = HTTPServerConfiguration()
        configuration.arrivalTimeout = .milliseconds(200)
        configuration.idleTimeout = .milliseconds(200)
        server = HTTPServer(configuration: configuration, handler: handler) { work in
            let task = Task { await work() }
            return { task.cancel() }
        }
        guard (try? server.start()) != nil else { return nil }
    }

    /// Sends the bytes and the end of them; what the handler saw, and what came back.
    func exchange(_ bytes: [UInt8]) -> (seen: [SeenRequest], reply: [UInt8]) {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: server.port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        // Thousands a second would use up the ports of connections that wait for their end.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        let size = socklen_t(MemoryLayout.size(ofValue: address))
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connection, $0, size) }
        }
        guard connected == 0 else { return ([], []) }
        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        // So that the end comes by itself, and is noticed at once.
        var waiting = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
        poll(&waiting, 1, 1)
        shutdown(connection, Int32(SHUT_WR))
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            reply += buffer[..<count]
        }
        let seen = notes.requests.withLock { requests in
            defer { requests = [] }
            return requests
        }
        return (seen, reply)
    }
}
