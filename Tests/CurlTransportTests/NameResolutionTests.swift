import CurlTransport
import HTTPTypes
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct NameResolutionTests {
    @Test func `names go through the given resolver, once per lifetime, and numeric addresses never`() async throws {
        let server = try ScriptedHTTPServer { request in .reply(body: Array((request.header("host") ?? "").utf8)) }
        defer { server.stop() }
        let lookups = Counter()
        try await withTransport({
            $0.resolver = NameResolver { name in
                lookups.add()
                return name == "api.test" ? .success(["127.0.0.1"]) : .failure(.init(message: "wrong name"))
            }
        }) { transport in
            for _ in 0..<5 {
                let response = try await transport.send(.get("http://API.test:\(server.port)/"))
                #expect(response.text.lowercased() == "api.test:\(server.port)")
            }
            _ = try await transport.send(.get(server.url))
            #expect(lookups.count == 1)
        }
    }

    @Test func `a name without an address is a dns error, and nothing was sent`() async throws {
        try await withTransport({
            $0.resolver = NameResolver { name in
                name == "empty.test" ? .success([]) : .failure(.init(message: "no such name"))
            }
        }) { transport in
            let error = try #require(await failure(transport, .get("http://gone.test/")))
            #expect(error == .dns(host: "gone.test", message: "no such name"))
            #expect(!error.mayHaveReachedServer)
            let empty = await failure(transport, .get("http://empty.test/"))
            #expect(empty == .dns(host: "empty.test", message: "the name has no address"))
        }
    }

    @Test func `addresses that are not numeric are dropped`() async throws {
        try await withTransport({
            $0.resolver = NameResolver { _ in .success(["evil.test", "127.0.0.1,10.0.0.1", "+x:1:1.1.1.1"]) }
        }) { transport in
            let error = await failure(transport, .get("http://a.test/"))
            #expect(error == .dns(host: "a.test", message: "the name has no address"))
        }
    }

    @Test func `the system resolver knows localhost`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            try #require(try await transport.send(.get("http://localhost:\(server.port)/")).status == 200)
        }
    }

    @Test func `an address that refuses does not hide one that answers`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport({
            $0.resolver = NameResolver { _ in .success(["::1", "127.0.0.2", "127.0.0.1"]) }
        }) { transport in
            try #require(try await transport.send(.get("http://a.test:\(server.port)/")).status == 200)
        }
    }

    @Test func `a resolver that never answers delays nobody else`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        let gate = Gate()
        defer {
            gate.open()
            server.stop()
        }
        let hung = Counter()
        try await withTransport({
            $0.connectTimeout = .seconds(60)
            $0.resolver = NameResolver { name in
                guard name.hasPrefix("dead") else { return .success(["127.0.0.1"]) }
                hung.add()
                gate.pass()
                return .failure(.init(message: "too late"))
            }
        }) { transport in
            let dead = (0..<8).map { number in
                Task { await failure(transport, .get("http://dead\(number).test/", deadline: .seconds(60))) }
            }
            let cancelled = Task { await failure(transport, .get("http://dead0.test/")) }
            #expect(await eventually { hung.count == 8 && transport.inFlight == 9 })
            cancelled.cancel()
            #expect(await cancelled.value?.isCancellation == true)

            for number in 0..<50 {
                let url = "http://alive\(number).test:\(server.port)/"
                try #require(try await transport.send(.get(url)).status == 200)
            }
            // All dead ones are still at it: nobody waited for them, nor for a thread that one of them holds.
            #expect(transport.inFlight == 8)

            for task in dead { task.cancel() }
            for task in dead { #expect(await task.value?.isCancellation == true) }
        }
    }

    @Test func `a lookup that does not end is given up at the connect timeout`() async throws {
        let gate = Gate()
        defer { gate.open() }
        try await withTransport({
            $0.connectTimeout = .milliseconds(200)
            $0.resolver = NameResolver { _ in
                gate.pass()
                return .failure(.init(message: "too late"))
            }
        }) { transport in
            let error = try #require(await failure(transport, .get("http://dead.test/")))
            guard case .timedOut(_, .connecting, after: .milliseconds(200)) = error else {
                Issue.record("unexpected \(error)")
                return
            }
        }
    }

    @Test func `a lookup that never ended is started again once it has been silent too long`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        let gate = Gate()
        defer {
            gate.open()
            server.stop()
        }
        let lookups = Counter()
        try await withTransport({
            $0.connectTimeout = .milliseconds(100)
            $0.resolver = NameResolver { _ in
                if lookups.add() == 1 { gate.pass() }
                return .success(["127.0.0.1"])
            }
        }) { transport in
            let request = TransportRequest.get("http://a.test:\(server.port)/")
            let first = await failure(transport, request)
            #expect(first == .timedOut(host: "a.test", phase: .connecting, after: .milliseconds(100)))
            try #require(try await transport.send(request).status == 200)
        }
    }

    @Test func `a resolver outage does not reach a host that is known`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        let lookups = Counter()
        try await withTransport({
            $0.addressLifetime = .zero
            $0.resolver = NameResolver { _ in
                lookups.add() == 1 ? .success(["127.0.0.1"]) : .failure(.init(message: "resolver is down"))
            }
        }) { transport in
            let request = TransportRequest.get("http://a.test:\(server.port)/")
            for _ in 0..<5 { try #require(try await transport.send(request).status == 200) }
            #expect(await eventually { lookups.count > 1 })
        }
    }

    @Test func `an address that cannot be connected to is looked up again`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        let lookups = Counter()
        try await withTransport({
            $0.resolver = NameResolver { _ in .success([lookups.add() == 1 ? "127.0.0.2" : "127.0.0.1"]) }
        }) { transport in
            let request = TransportRequest.get("http://a.test:\(server.port)/")
            guard case .refused(host: "a.test", _) = await failure(transport, request) else {
                Issue.record("not refused")
                return
            }
            try #require(try await transport.send(request).status == 200)
        }
    }

    @Test func `thousands of host names need only the addresses in use`() async throws {
        let server = try ScriptedHTTPServer(recordsRequests: false) { _ in .reply() }
        defer { server.stop() }
        try await withTransport({
            $0.maxTotalConnections = 8
            $0.resolver = NameResolver { _ in .success(["127.0.0.1"]) }
        }) { transport in
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<250 {
                            await #expect(throws: Never.self) {
                                try await transport.send(.get("http://h\(task)-\(number).test:\(server.port)/"))
                            }
                        }
                    }
                }
            }
            #expect(transport.openConnections <= 8)
        }
    }
}
