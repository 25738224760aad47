import HTTPServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RefusalTests {
    /// A request that has to be refused, and the reason the server reports.
    struct Malformed: Sendable, CustomTestStringConvertible {
        let text: String
        let reason: ServerRefusal.BadRequestReason
        var testDescription: String { text.debugDescription }

        init(_ text: String, _ reason: ServerRefusal.BadRequestReason) {
            self.text = text
            self.reason = reason
        }
    }

    static let malformed: [Malformed] = [
        .init("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", .bodyLength),
        .init("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", .bodyLength),
        .init("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", .transferEncoding),
        .init("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .transferEncoding),
        .init(
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            .transferEncoding
        ),
        .init("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncoding),
        .init("GET / HTTP/1.1\r\n\r\n", .host),
        .init("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .host),
        .init("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .host),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: one\r\n two\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: one\r\n \r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: one\r\n\ttwo\r\nX-B: b\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\nX-A: one\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\nHost: h\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\n\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\n\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost : h\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\n Host: h\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX A: b\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\u{0}b\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\u{0}\u{0}Y: b\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rb\r\n\r\n", .headerSyntax),
        .init("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\u{1}b\r\n\r\n", .headerSyntax),
        .init("GET /a\u{0}b HTTP/1.1\r\nHost: h\r\n\r\n", .requestLine),
        .init("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", .requestLine),
        .init("GET  /a HTTP/1.1\r\nHost: h\r\n\r\n", .requestLine),
        .init("GET /ä HTTP/1.1\r\nHost: h\r\n\r\n", .requestLine),
        .init("G(T /a HTTP/1.1\r\nHost: h\r\n\r\n", .requestLine),
        .init("GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", .targetForm),
        .init("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", .targetForm),
        .init("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: other\r\n\r\na", .expectation),
    ]

    @Test(arguments: malformed)
    func `a malformed request is refused and its connection closed`(_ request: Malformed) async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send(request.text)
            let response = try client.readResponse()
            #expect(response.status == 400)
            #expect(response.text == "refused: \(request.reason.rawValue)")
            #expect(response["connection"] == "close")
            #expect(try client.readToEnd().isEmpty)
            #expect(fixture.recorder.counts.refusals == [.badRequest(request.reason)])
            #expect(fixture.handler.admitted == 0)
        }
    }

    @Test(arguments: [
        "nonsense\r\n\r\n", "GET / HTTP/3.7\r\nHost: h\r\n\r\n", "GET /\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX\u{0}A: b\r\n\r\n",
    ])
    func `what the library refuses by itself never reaches the handler`(_ request: String) async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send(request)
            _ = try client.readToEnd()
            #expect(fixture.handler.handled == 0)
        }
    }

    @Test func `garbage after a request is not taken for a request`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("GET /one HTTP/1.1\r\nHost: h\r\n\r\n\u{0}\u{1}garbage \r\n\r\nGET /two HTTP/1.1\r\n\r\n")
            #expect(try client.readResponse().text == "/one")
            _ = try client.readToEnd()
            #expect(fixture.handler.handled == 1)
        }
    }

    @Test func `a header over the limit gets 431`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let flood = (0..<100).map { "X-\($0): \(String(repeating: "v", count: 100))\r\n" }.joined()
            try client.send("GET / HTTP/1.1\r\nHost: h\r\n\(flood)\r\n")
            let response = try client.readResponse()
            #expect(response.status == 431)
            #expect(response.text.hasPrefix("refused"))
            #expect(fixture.recorder.counts.refusals == [.headerTooLarge])
        }
    }

    @Test func `a header flood without end gets 431`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("GET / HTTP/1.1\r\nHost: h\r\n")
            let line = Array("X-Flood: \(String(repeating: "v", count: 1000))\r\n".utf8)
            // The server stops reading at some point; what cannot be sent any more is not the point.
            for _ in 0..<100 where (try? client.send(line)) == nil { break }
            #expect(try client.readResponse().status == 431)
        }
    }

    @Test func `a target over the limit gets 414`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try? client.send("GET /\(String(repeating: "a", count: 100_000))")
            #expect(try client.readResponse().status == 414)
        }
    }

    @Test func `an announced body over the limit is refused before it is sent`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n")
            #expect(try client.readResponse().status == 413)
            #expect(fixture.handler.admitted == 0)
        }
    }

    // Eight megabytes fit into no socket buffer: the client still sends when the server has closed.
    @Test(arguments: [1, 8])
    func `a client that sends megabytes regardless still reads its 413`(megabytes: Int) async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            let response = try client.request("PUT", "/echo", body: [UInt8](repeating: 1, count: megabytes << 20))
            #expect(response.status == 413)
            #expect(response.text == "refused: The body is too large.")
            #expect(try client.readToEnd().isEmpty)
            #expect(fixture.recorder.counts.refusals == [.payloadTooLarge])
        }
    }

    @Test func `a chunked body over the limit gets 413 and is not handled`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("1000\r\n".utf8) + [UInt8](repeating: 1, count: 4096) + Array("\r\n".utf8)
            for _ in 0..<64 { try client.send(chunk) }
            try client.send("0\r\n\r\n")
            #expect(try client.readResponse().status == 413)
            #expect(try client.readToEnd().isEmpty)
            #expect(fixture.handler.handled == 0)
        }
    }

    @Test func `an endless chunked body is cut`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 1, count: 65_536) + Array("\r\n".utf8)
            #expect(throws: RawHTTPClient.Failure.self) {
                for _ in 0..<1000 { try client.send(chunk) }
            }
        }
    }

    @Test func `a truncated body is never handled`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            try client.send("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
            #expect(waitUntil { fixture.server.activeRequests == 1 })
            client.close()
            #expect(waitUntil { fixture.server.activeRequests == 0 && fixture.server.openConnections == 0 })
            #expect(fixture.handler.handled == 0)
            #expect(fixture.recorder.counts.statuses == [nil])
        }
    }
}
