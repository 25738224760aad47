import CurlTransport
import Glibc
import HTTPTypes
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct TransportFailureTests {
    private let host = "127.0.0.1"

    @Test func `a port that nobody listens on is refused, and nothing was sent`() async throws {
        let dead = try DeadPort()
        defer { dead.release() }
        try await withTransport { transport in
            let error = try #require(await failure(transport, .post("http://127.0.0.1:\(dead.port)/")))
            #expect(error == .refused(host: host, code: ECONNREFUSED))
            #expect(!error.mayHaveReachedServer)
        }
    }

    @Test(arguments: [ScriptedHTTPServer.Behaviour.reset, .close])
    func `a connection that ends before the reply is a reset with unknown outcome`(
        behaviour: ScriptedHTTPServer.Behaviour
    ) async throws {
        let server = try ScriptedHTTPServer { _ in behaviour }
        defer { server.stop() }
        try await withTransport { transport in
            let error = try #require(await failure(transport, .post(server.url)))
            #expect(error == .reset(host: host, phase: .waiting))
            #expect(error.mayHaveReachedServer)
            #expect(transport.inFlight == 0)
        }
    }

    @Test func `a body that ends early is a reset while reading`() async throws {
        let server = try ScriptedHTTPServer { _ in
            .bytesThenClose(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".utf8))
        }
        defer { server.stop() }
        try await withTransport { transport in
            #expect(await failure(transport, .get(server.url)) == .reset(host: host, phase: .reading))
        }
    }

    @Test(arguments: ["garbage\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n", "\r\n\r\n\r\n"])
    func `a peer that does not speak HTTP is a protocol error`(reply: String) async throws {
        let server = try ScriptedHTTPServer { _ in .bytesThenClose(Array(reply.utf8)) }
        defer { server.stop() }
        try await withTransport { transport in
            let error = try #require(await failure(transport, .get(server.url)))
            guard case .protocolError(host: host, _) = error else {
                Issue.record("unexpected \(error)")
                return
            }
            #expect(error.mayHaveReachedServer)
        }
    }

    @Test(arguments: [1_000, 50_000, 200_000])
    func `an endless header section is cut off`(lineLength: Int) async throws {
        let line = "X-Long: " + String(repeating: "x", count: lineLength) + "\r\n"
        let flood = "HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 1_000_000 / lineLength)
        let server = try ScriptedHTTPServer { _ in .bytes(Array(flood.utf8)) }
        defer { server.stop() }
        try await withTransport { transport in
            let error = try #require(await failure(transport, .get(server.url)))
            guard case .protocolError = error else {
                Issue.record("unexpected \(error)")
                return
            }
        }
    }

    @Test(arguments: [true, false])
    func `a body of 1 GB is cut at the limit without being kept`(announced: Bool) async throws {
        let server = try ScriptedHTTPServer { _ in .huge(count: 1 << 30, announced: announced) }
        defer { server.stop() }
        try await withTransport { transport in
            var request = TransportRequest.get(server.url)
            request.maxResponseBytes = 1 << 20
            let error = await failure(transport, request)
            #expect(error == .tooLarge(host: host, limit: 1 << 20))
            #expect(await eventually { server.openConnectionCount == 0 })
        }
    }

    @Test func `a body of exactly the limit is accepted and one byte more is not`() async throws {
        let server = try ScriptedHTTPServer { request in
            .reply(body: [UInt8](repeating: 1, count: request.path == "/100" ? 100 : 101))
        }
        defer { server.stop() }
        try await withTransport({ $0.maxResponseBytes = 100 }) { transport in
            try #require(try await transport.send(.get(server.url + "/100")).body.count == 100)
            #expect(await failure(transport, .get(server.url + "/101")) == .tooLarge(host: host, limit: 100))
        }
    }

    @Test func `a server that never replies is cut at the deadline, while waiting`() async throws {
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withTransport { transport in
            let start = ContinuousClock.now
            let error = await failure(transport, .get(server.url, deadline: .milliseconds(200)))
            let taken = ContinuousClock.now - start
            #expect(error == .timedOut(host: host, phase: .waiting, after: .milliseconds(200)))
            #expect(taken >= .milliseconds(200) && taken < .seconds(5))
            #expect(await eventually { server.openConnectionCount == 0 })
        }
    }

    @Test func `a server that drips is cut at the deadline, while reading`() async throws {
        let server = try ScriptedHTTPServer { _ in .drip(interval: .milliseconds(20)) }
        defer { server.stop() }
        try await withTransport { transport in
            let error = await failure(transport, .get(server.url, deadline: .milliseconds(300)))
            #expect(error == .timedOut(host: host, phase: .reading, after: .milliseconds(300)))
        }
    }

    @Test func `a listener that never accepts is cut at the connect timeout, and nothing was sent`() async throws {
        let full = try FullListener()
        defer { full.release() }
        try await withTransport({ $0.connectTimeout = .milliseconds(200) }) { transport in
            let error = try #require(await failure(transport, .get("http://127.0.0.1:\(full.port)/")))
            #expect(error == .timedOut(host: host, phase: .connecting, after: .milliseconds(200)))
            #expect(!error.mayHaveReachedServer)
        }
    }

    @Test func `waiting for a connection counts towards the deadline`() async throws {
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withTransport({ $0.maxConnectionsPerHost = 1 }) { transport in
            // The first holds the only connection for as long as the second waits, however slow the machine is.
            let first = Task { await failure(transport, .get(server.url, deadline: .seconds(60))) }
            #expect(await eventually { server.requests.count == 1 })
            let second = await failure(transport, .get(server.url, deadline: .milliseconds(200)))
            #expect(second == .timedOut(host: host, phase: .connecting, after: .milliseconds(200)))
            #expect(server.connectionCount == 1)
            first.cancel()
            #expect(await first.value?.isCancellation == true)
        }
    }

    @Test func `a POST on a connection that just died is not repeated, a GET is`() async throws {
        let server = try ScriptedHTTPServer { request in
            request.numberOnConnection == 1 ? .reply() : .close
        }
        defer { server.stop() }
        try await withTransport { transport in
            _ = try await transport.send(.get(server.url + "/first"))
            #expect(await failure(transport, .post(server.url + "/post")) == .reset(host: host, phase: .waiting))
            #expect(server.requests.filter { $0.path == "/post" }.count == 1)
            #expect(server.connectionCount <= 2)

            _ = try await transport.send(.get(server.url + "/second"))
            try #require(try await transport.send(.get(server.url + "/get")).status == 200)
            #expect(server.requests.filter { $0.path == "/get" }.count == 2)
        }
    }

    @Test func `a repeated GET that cannot connect again still counts as sent`() async throws {
        let server = try ScriptedHTTPServer { request in
            request.numberOnConnection == 1 ? .reply() : .hang
        }
        defer { server.stop() }
        try await withTransport { transport in
            _ = try await transport.send(.get(server.url + "/first"))
            async let second = failure(transport, .get(server.url + "/second"))
            #expect(await eventually { server.requests.count == 2 })
            server.stop()
            #expect(await second == .reset(host: host, phase: .waiting))
        }
    }

    @Test func `no error repeats a header value, a body or a path`() async throws {
        let behaviours: [ScriptedHTTPServer.Behaviour] = [
            .reset, .close, .hang, .bytesThenClose(Array("nonsense\r\n".utf8)), .huge(count: 1 << 20, announced: true),
            .bytesThenClose(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".utf8)),
        ]
        let secret = "e2b_c0ffee"
        let key = try #require(HTTPField.Name("X-API-Key"))
        for behaviour in behaviours {
            let server = try ScriptedHTTPServer { _ in behaviour }
            defer { server.stop() }
            try await withTransport({ $0.maxResponseBytes = 10 }) { transport in
                let error = try #require(
                    await failure(
                        transport,
                        TransportRequest(
                            method: .post,
                            url: "\(server.url)/\(secret)",
                            headers: [key: secret],
                            body: Array(secret.utf8),
                            deadline: .milliseconds(200)
                        )
                    )
                )
                #expect(!"\(error) \(String(reflecting: error))".contains(secret))
            }
        }
    }
}

/// A listening socket whose queue is full: the kernel drops further SYNs, so connecting to it hangs.
private struct FullListener {
    let port: Int
    private let descriptors: [Int32]

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var fillers: [Int32] = []
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard bind(listener, pointer, length) == 0, getsockname(listener, pointer, &length) == 0,
                    listen(listener, 0) == 0
                else { return false }
                for _ in 0..<4 {
                    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
                    let filler = socket(AF_INET, kind, 0)
                    _ = connect(filler, pointer, length)
                    fillers.append(filler)
                }
                return true
            }
        }
        try #require(isListening)
        port = Int(UInt16(bigEndian: address.sin_port))
        descriptors = fillers + [listener]
    }

    func release() {
        for descriptor in descriptors { close(descriptor) }
    }
}
