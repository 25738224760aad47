import HTTPServer
import HTTPTypes
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LifecycleTests {
    // MARK: Deadlines

    /// Sends one byte every 20 ms until the server cuts the connection.
    private static func drip(_ client: RawHTTPClient) -> Duration {
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .seconds(20) {
            do {
                try client.send("a")
            } catch {
                break
            }
            _ = waitUntil(within: .milliseconds(20)) { false }
        }
        return ContinuousClock.now - start
    }

    @Test(arguments: [
        "GET /", "GET / HTTP/1.1\r\nHost: h\r\nX-Drip: ",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n",
    ])
    func `dripping bytes do not outlive the arrival deadline`(beginning: String) async throws {
        try await withServer({ $0.arrivalTimeout = .milliseconds(500) }) { fixture in
            let client = try fixture.connect()
            try client.send(beginning)
            let lifetime = Self.drip(client)
            #expect(lifetime > .milliseconds(400))
            #expect(lifetime < .seconds(5))
            // Reported just after the cut.
            #expect(waitUntil { fixture.recorder.counts.deadlines == [.arrival] })
            #expect(fixture.handler.handled == 0)
        }
    }

    @Test func `a silent connection is cut at the arrival deadline`() async throws {
        try await withServer({ $0.arrivalTimeout = .milliseconds(200) }) { fixture in
            let client = try fixture.connect()
            #expect(try client.readToEnd().isEmpty)
            // Reported just after the cut.
            #expect(waitUntil { fixture.recorder.counts.deadlines == [.arrival] })
        }
    }

    @Test func `an idle kept connection is cut at the idle deadline`() async throws {
        try await withServer({ $0.idleTimeout = .milliseconds(200) }) { fixture in
            let client = try fixture.connect()
            #expect(try client.request("GET", "/x").status == 200)
            #expect(try client.readToEnd().isEmpty)
            // Reported just after the cut.
            #expect(waitUntil { fixture.recorder.counts.deadlines == [.idle] })
        }
    }

    @Test func `a pending request is under no connection deadline`() async throws {
        try await withServer({
            $0.arrivalTimeout = .milliseconds(50)
            $0.idleTimeout = .milliseconds(50)
            $0.sendTimeout = .seconds(1)
        }) { fixture in
            let client = try fixture.connect()
            try client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n")
            // A second connection that is cut shows that the deadlines have passed.
            let other = try fixture.connect()
            #expect(try other.readToEnd().isEmpty)
            fixture.handler.gate.open()
            #expect(try client.readResponse().text == "let go")
        }
    }

    // MARK: Pending requests

    @Test func `a request over the pending limit is refused and the others are answered`() async throws {
        try await withServer({ $0.maxPendingRequests = 3 }) { fixture in
            let clients = try (0..<3).map { _ in try fixture.connect() }
            for client in clients { try client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n") }
            #expect(waitUntil { fixture.server.pendingRequests == 3 })
            let late = try fixture.connect()
            #expect(try late.request("GET", "/gate").status == 503)
            #expect(fixture.recorder.counts.refusals == [.overloaded])
            // The refused connection, and finished responses, go on.
            #expect(try late.request("GET", "/hello").status == 200)
            fixture.handler.gate.open()
            for client in clients { #expect(try client.readResponse().text == "let go") }
            #expect(try late.request("GET", "/gate").text == "let go")
        }
    }

    @Test func `a client that hangs up while its request is pending is forgotten`() async throws {
        try await withServer { fixture in
            for _ in 0..<20 {
                let client = try fixture.connect()
                try client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n")
            }
            #expect(waitUntil { fixture.server.pendingRequests == 20 })
            fixture.handler.gate.open()
            #expect(waitUntil { fixture.server.activeRequests == 0 && fixture.server.openConnections == 0 })
        }
    }

    @Test func `a thousand concurrent pending requests are all answered`() async throws {
        try await withServer { fixture in
            let clients = try (0..<1000).map { _ in try fixture.connect() }
            for client in clients { try client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n") }
            #expect(waitUntil { fixture.server.pendingRequests == 1000 })
            #expect(fixture.server.openConnections == 1000)
            fixture.handler.gate.open()
            for client in clients { #expect(try client.readResponse().text == "let go") }
        }
    }

    /// libmicrohttpd's own threads wait again after exactly 128 events, with those unanswered.
    @Test(arguments: [128, 256]) func `clients that all wait for their answers at once get them`(count: Int)
        async throws
    {
        try await withServer { fixture in
            let clients = try (0..<count).map { _ in try fixture.connect() }
            for round in 0..<40 {
                for client in clients { try client.send("GET /\(round) HTTP/1.1\r\nHost: h\r\n\r\n") }
                for client in clients { #expect(try client.readResponse().text == "/\(round)") }
            }
        }
    }

    @Test func `connections over the limit wait until one closes`() async throws {
        try await withServer({ $0.maxConnections = 2 }) { fixture in
            let first = try fixture.connect()
            let second = try fixture.connect()
            #expect(try first.request("GET", "/1").status == 200)
            #expect(try second.request("GET", "/2").status == 200)
            let third = try fixture.connect()
            try third.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try first.request("GET", "/1").status == 200)
            #expect(fixture.server.openConnections == 2)
            second.close()
            #expect(try third.readResponse().text == "/3")
        }
    }

    // MARK: Draining and stopping

    @Test func `draining answers and closes`() async throws {
        try await withServer { fixture in
            let client = try fixture.connect()
            #expect(try client.request("GET", "/before")["connection"] != "close")
            fixture.server.beginDraining()
            let response = try client.request("GET", "/during")
            #expect(response.text == "/during")
            #expect(response["connection"] == "close")
            #expect(try client.readToEnd().isEmpty)
            let new = try fixture.request("GET", "/new")
            #expect(new.status == 200)
        }
    }

    @Test func `stopping answers the pending with the draining refusal and cancels their work`() async throws {
        let fixture = Fixture()
        try fixture.server.start()
        let clients = try await runOnThread {
            let clients = try (0..<50).map { _ in SharedClient(try fixture.connect()) }
            for client in clients { try client.client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n") }
            #expect(waitUntil { fixture.server.pendingRequests == 50 })
            return clients
        }
        await fixture.server.stop(gracePeriod: .milliseconds(50))
        try await runOnThread {
            for client in clients {
                let response = try client.client.readResponse()
                #expect(response.status == 503)
                #expect(response.text == "refused: The server is shutting down.")
                #expect(response["connection"] == "close")
            }
        }
        let counts = fixture.recorder.counts
        #expect(counts.refusals.filter { $0 == .draining }.count == 50)
        #expect(counts.statuses.count == 50)
        #expect(counts.opened == counts.closed)
        #expect(fixture.server.pendingRequests == 0)
        // The work returns late, to a server that is gone.
        fixture.handler.gate.open()
    }

    @Test func `stopping waits for pending requests within the grace period`() async throws {
        let fixture = Fixture()
        try fixture.server.start()
        let client = try await runOnThread {
            let client = SharedClient(try fixture.connect())
            try client.client.send("GET /gate HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(waitUntil { fixture.server.pendingRequests == 1 })
            return client
        }
        async let stopped: Void = fixture.server.stop(gracePeriod: .seconds(30))
        try await runOnThread {
            // A refused connection shows that the stop has begun.
            #expect(waitUntil { (try? fixture.connect()) == nil })
            fixture.handler.gate.open()
            let response = try client.client.readResponse()
            #expect(response.text == "let go")
        }
        await stopped
        #expect(fixture.recorder.counts.refusals.isEmpty)
    }

    @Test func `a stopped server can be started again on the same port`() async throws {
        let first = Fixture()
        try first.server.start()
        let port = first.server.port
        _ = try await runOnThread { try first.connect().request("GET", "/1") }
        await first.server.stop(gracePeriod: .zero)

        let second = Fixture { $0.port = port }
        try second.server.start()
        #expect(second.server.port == port)
        for _ in 0..<3 {
            let text = try await runOnThread { try second.connect().request("GET", "/2").text }
            #expect(text == "/2")
            await second.server.stop(gracePeriod: .zero)
            try second.server.start()
        }
        await second.server.stop(gracePeriod: .zero)
    }

    @Test func `starting twice fails, stopping twice does not`() async throws {
        let fixture = Fixture()
        try fixture.server.start()
        #expect(throws: HTTPServerError.alreadyRunning) { try fixture.server.start() }
        async let one: Void = fixture.server.stop(gracePeriod: .seconds(1))
        async let two: Void = fixture.server.stop(gracePeriod: .seconds(1))
        _ = await (one, two)
        await fixture.server.stop(gracePeriod: .zero)
        #expect(fixture.server.openConnections == 0)
    }

    @Test func `a taken port, a bad address and bad numbers are told apart`() async throws {
        let fixture = Fixture()
        try fixture.server.start()
        let port = fixture.server.port
        #expect(throws: HTTPServerError.addressInUse(host: "127.0.0.1", port: port)) {
            try Fixture { $0.port = port }.server.start()
        }
        #expect(throws: HTTPServerError.invalidAddress(host: "localhost")) {
            try Fixture { $0.host = "localhost" }.server.start()
        }
        #expect(throws: HTTPServerError.addressUnavailable(host: "192.0.2.1")) {
            try Fixture { $0.host = "192.0.2.1" }.server.start()
        }
        #expect(throws: HTTPServerError.invalidConfiguration(["port must be 0 to 65535"])) {
            try Fixture { $0.port = 70_000 }.server.start()
        }
        await fixture.server.stop(gracePeriod: .zero)
    }

    @Test func `too few file descriptors are reported`() async throws {
        let fixture = Fixture { $0.maxConnections = 900_000 }
        try fixture.server.start()
        #expect(fixture.server.warnings.count == 1)
        await fixture.server.stop(gracePeriod: .zero)
    }

    @Test func `stopping under load neither crashes nor leaks`() async throws {
        for round in 0..<10 {
            let fixture = Fixture { $0.threads = round % 2 == 0 ? 1 : 2 }
            try fixture.server.start()
            let isOver = Flag()
            async let load: Void = runOnThread {
                // Clients come, ask for pending and finished answers, and leave without reading.
                while !isOver.isSet {
                    guard let client = try? fixture.connect() else { continue }
                    try? client.send("GET /pending HTTP/1.1\r\nHost: h\r\n\r\nGET /gate HTTP/1.1\r\nHost: h\r\n\r\n")
                    if (try? client.readResponse()) == nil { continue }
                }
            }
            _ = try await runOnThread { waitUntil { fixture.server.pendingRequests > 2 } }
            await fixture.server.stop(gracePeriod: .milliseconds(round))
            isOver.set()
            fixture.handler.gate.open()
            try await load
            let counts = fixture.recorder.counts
            #expect(counts.started == counts.statuses.count)
            #expect(counts.opened == counts.closed)
        }
    }
}

/// `@unchecked Sendable`: the tests use the client on one thread after the other, never at once.
private final class SharedClient: @unchecked Sendable {
    let client: RawHTTPClient

    init(_ client: RawHTTPClient) {
        self.client = client
    }
}

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
