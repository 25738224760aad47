import CurlTransport
import HTTPTypes
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ConcurrencyTests {
    @Test func `64 callers share no more connections than configured`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport({ $0.maxConnectionsPerHost = 5 }) { transport in
            let statuses = await withTaskGroup(of: Int?.self) { group in
                for _ in 0..<64 {
                    group.addTask { try? await transport.send(.get(server.url)).status }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.count == 64 && statuses.allSatisfy { $0 == 200 })
            #expect(server.connectionCount <= 5)
            #expect(transport.openConnections == server.openConnectionCount)
            #expect(transport.inFlight == 0)
        }
    }

    @Test func `the total limit holds over many hosts and idle connections give way`() async throws {
        let servers = try (0..<6).map { _ in try ScriptedHTTPServer { _ in .reply() } }
        defer { servers.forEach { $0.stop() } }
        try await withTransport({ $0.maxTotalConnections = 3 }) { transport in
            for _ in 0..<5 {
                await withTaskGroup(of: Void.self) { group in
                    for server in servers {
                        for _ in 0..<4 {
                            group.addTask {
                                await #expect(throws: Never.self) { try await transport.send(.get(server.url)) }
                            }
                        }
                    }
                }
                #expect(transport.openConnections <= 3)
            }
        }
    }

    @Test func `a host that hangs on all its connections delays no other host`() async throws {
        let hanging = try ScriptedHTTPServer { _ in .hang }
        let healthy = try ScriptedHTTPServer { _ in .reply() }
        defer {
            hanging.stop()
            healthy.stop()
        }
        try await withTransport({ $0.maxConnectionsPerHost = 2 }) { transport in
            let stuck = (0..<20).map { _ in Task { await failure(transport, .get(hanging.url)) } }
            #expect(await eventually { hanging.requests.count == 2 && transport.inFlight == 20 })
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        await #expect(throws: Never.self) {
                            try await transport.send(.get(healthy.url, deadline: .seconds(10)))
                        }
                    }
                }
            }
            // Before cancelling, which lets the next ones in line connect.
            #expect(hanging.connectionCount == 2)
            stuck.forEach { $0.cancel() }
            for task in stuck { #expect(await task.value?.isCancellation == true) }
        }
    }

    @Test func `a request that is one too many to wait is refused at once`() async throws {
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withTransport({
            $0.maxConnectionsPerHost = 1
            $0.maxWaitingRequests = 2
        }) { transport in
            let tasks = (0..<3).map { _ in Task { await failure(transport, .get(server.url)) } }
            #expect(await eventually { server.requests.count == 1 && transport.inFlight == 3 })
            let error = await failure(transport, .get(server.url))
            #expect(error == .queueFull(limit: 2))
            tasks.forEach { $0.cancel() }
            for task in tasks { _ = await task.value }
            #expect(await eventually { server.openConnectionCount == 0 })
        }
    }

    @Test func `a task that is cancelled before it starts sends nothing`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            let gate = AsyncStream.makeStream(of: Void.self)
            let task = Task {
                for await _ in gate.stream {}  // ends when the task is cancelled
                return await failure(transport, .post(server.url))
            }
            task.cancel()
            let error = try #require(await task.value)
            #expect(error == .cancelled(host: "127.0.0.1", phase: .connecting))
            #expect(!error.mayHaveReachedServer)
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a cancelled request ends at once and its connection is closed`() async throws {
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        try await withTransport { transport in
            let task = Task { await failure(transport, .post(server.url)) }
            #expect(await eventually { server.requests.count == 1 })
            task.cancel()
            let error = try #require(await task.value)
            #expect(error == .cancelled(host: "127.0.0.1", phase: .waiting))
            #expect(error.mayHaveReachedServer)
            #expect(transport.inFlight == 0)
            #expect(await eventually { server.openConnectionCount == 0 && transport.openConnections == 0 })
        }
    }

    @Test func `cancelling while the reply arrives gives one of the two outcomes and leaks nothing`() async throws {
        let server = try ScriptedHTTPServer(recordsRequests: false) { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            var outcomes = (replied: 0, cancelled: 0)
            for round in 0..<400 {
                let task = Task { () -> CurlError? in
                    do throws(CurlError) {
                        _ = try await transport.send(.get(server.url))
                        return nil
                    } catch {
                        return error
                    }
                }
                for _ in 0..<(round % 40) { await Task.yield() }
                task.cancel()
                let error = await task.value
                if error == nil { outcomes.replied += 1 } else { outcomes.cancelled += 1 }
                #expect(error == nil || error?.isCancellation == true)
            }
            #expect(outcomes.replied + outcomes.cancelled == 400)
            #expect(transport.inFlight == 0)
            #expect(transport.openConnections <= 16)
        }
    }

    @Test func `closing answers every live call, and later ones are refused`() async throws {
        let server = try ScriptedHTTPServer { _ in .hang }
        defer { server.stop() }
        var configuration = CurlConfiguration()
        configuration.maxConnectionsPerHost = 4
        let transport = try CurlTransport(configuration: configuration)
        let tasks = (0..<20).map { _ in Task { await failure(transport, .post(server.url)) } }
        #expect(await eventually { server.requests.count == 4 && transport.inFlight == 20 })
        async let other: Void = transport.close()
        await transport.close()
        await other
        var phases: [TransferPhase: Int] = [:]
        for task in tasks {
            guard case .closed(let phase) = await task.value else {
                Issue.record("not closed")
                continue
            }
            phases[phase, default: 0] += 1
        }
        #expect(phases == [.waiting: 4, .connecting: 16])
        #expect(transport.inFlight == 0)
        #expect(transport.openConnections == 0)
        #expect(await failure(transport, .get(server.url)) == .closed(phase: .connecting))
    }

    @Test func `dropping a transport closes its connections`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        var transport: CurlTransport? = try CurlTransport(configuration: CurlConfiguration())
        _ = try await transport?.send(.get(server.url))
        #expect(server.openConnectionCount == 1)
        transport = nil
        #expect(await eventually { server.openConnectionCount == 0 })
    }
}

extension CurlError {
    var isCancellation: Bool {
        if case .cancelled = self { true } else { false }
    }
}
