import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ScriptedServerTests {
    @Test func `T3 an idempotent command is retried exactly once, after 100 ms`() async throws {
        let server = try ScriptedRedis { _ in .close }
        defer { server.stop() }
        let observer = RecordingObserver()
        try await withClient(.port(server.port), observer: observer, { $0.commandTimeout = .seconds(20) }) {
            client async throws in
            let startedAt = ContinuousClock.now
            #expect(await failure(client, .get("k")) == .reset(wasSent: true))
            #expect(startedAt.duration(to: .now) >= .milliseconds(100))
        }
        let requests = server.requests
        #expect(requests.count == 2)
        let pause = requests[0].arrivedAt.duration(to: requests[1].arrivedAt)
        #expect(pause >= .milliseconds(100) && pause < .seconds(5))
        #expect(observer.recorded.outcomes[.get] == [.reset, .reset])
        #expect(observer.recorded.retries == [.reset])
        #expect(observer.recorded.failedRetries == 1)
    }

    @Test func `T3 the retry succeeds where the second attempt does`() async throws {
        let server = try ScriptedRedis { $0.connection == 1 ? .close : .reply("$1\r\nv\r\n") }
        defer { server.stop() }
        let observer = RecordingObserver()
        try await withClient(.port(server.port), observer: observer, { $0.commandTimeout = .seconds(20) }) {
            client async throws in
            #expect(try await client.send(.get("k")).text == "v")
        }
        #expect(server.requests.count == 2)
        #expect(observer.recorded.outcomes[.get] == [.reset, .ok])
        #expect(observer.recorded.retries == [.reset])
        #expect(observer.recorded.failedRetries == 0)
    }

    @Test func `a command that is not idempotent is sent once, and a configuration without retries is obeyed`()
        async throws
    {
        let server = try ScriptedRedis { _ in .close }
        defer { server.stop() }
        let observer = RecordingObserver()
        try await withClient(.port(server.port), observer: observer, { $0.commandTimeout = .seconds(20) }) {
            client async throws in
            #expect(await failure(client, RedisCommand("INCR", "n"))?.mayHaveReachedServer == true)
        }
        #expect(server.requests.count == 1)
        try await withClient(.port(server.port), observer: observer, { $0.retryDelay = nil }) { client async throws in
            #expect(await failure(client, .get("k"))?.isReset == true)
        }
        #expect(server.requests.count == 2)
        #expect(observer.recorded.retries.isEmpty)
        #expect(observer.recorded.failedRetries == 0)
    }

    @Test func `LOADING is typed and tried once more, whatever the command`() async throws {
        let server = try ScriptedRedis { _ in .reply("-LOADING Redis is loading the dataset in memory\r\n") }
        defer { server.stop() }
        let observer = RecordingObserver()
        try await withClient(.port(server.port), observer: observer) { client async throws in
            let error = await failure(client, RedisCommand("INCR", "n"))
            #expect(error == .loading)
            #expect(error?.mayHaveReachedServer == false)
        }
        #expect(server.requests.count == 2)
        #expect(observer.recorded.retries == [.loading])
        #expect(observer.recorded.failedRetries == 1)
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "*abc\r\n", "$x\r\n", "~1\r\n:1\r\n", "\0\0\0\0"])
    func `what is not Redis' protocol is a typed error and ends the connection`(garbage: String) async throws {
        let server = try ScriptedRedis { $0.connection == 1 ? .reply(garbage) : .reply("+OK\r\n") }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.retryDelay = nil }) { client async throws in
            #expect(await failure(client, .get("k"))?.isProtocol == true)
            #expect(await eventually { client.state == .connected && server.connectionCount == 2 })
            #expect(try await client.send(.get("k")) == .status("OK"))
        }
    }

    @Test func `a reply that nobody asked for ends the connection instead of reaching somebody`() async throws {
        let server = try ScriptedRedis { request in
            .reply(request.connection == 1 ? "+first\r\n+stray\r\n" : "+second\r\n")
        }
        defer { server.stop() }
        try await withClient(.port(server.port)) { client async throws in
            #expect(try await client.send(.get("k")).text == "first")
            #expect(await eventually { server.connectionCount == 2 && client.state == .connected })
            #expect(try await client.send(.get("k")).text == "second")
        }
    }

    @Test func `a caller in a hurry gets its answer, and its late reply meets no other command`() async throws {
        let gate = Gate()
        let server = try ScriptedRedis { request in
            request.words.last == "slow" ? .replyAfter(gate, "+late\r\n") : .reply("+\(request.words[1])\r\n")
        }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.commandTimeout = .seconds(30) }) { client async throws in
            let startedAt = ContinuousClock.now
            let error = await failure(client, RedisCommand("X", "slow"), deadline: .milliseconds(50))
            #expect(error == .timedOut(after: .milliseconds(50), wasSent: true))
            #expect(startedAt.duration(to: .now) < .seconds(10))
            async let next = client.send(.get("next"))
            #expect(await eventually { client.pendingCommands == 1 })
            gate.open()
            #expect(try await next.text == "next")
        }
        #expect(server.connectionCount == 1)
    }

    @Test func `a reply that stays away for the command timeout ends the connection`() async throws {
        let server = try ScriptedRedis { $0.connection == 1 ? .silence : .reply("+OK\r\n") }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.commandTimeout = .milliseconds(200) }) { client async throws in
            let error = await failure(client, RedisCommand("INCR", "n"))
            #expect(error == .timedOut(after: .milliseconds(200), wasSent: true))
            #expect(await eventually { server.connectionCount == 2 && client.state == .connected })
            #expect(try await client.send(.get("k")) == .status("OK"))
        }
    }

    @Test func `a cancelled caller returns at once and the connection stays`() async throws {
        let gate = Gate()
        let server = try ScriptedRedis { request in
            request.words.last == "slow" ? .replyAfter(gate, "+late\r\n") : .reply("+\(request.words[1])\r\n")
        }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.commandTimeout = .seconds(30) }) { client async throws in
            let task = Task { await failure(client, RedisCommand("X", "slow")) }
            #expect(await eventually { server.requests.count == 1 })
            task.cancel()
            #expect(await task.value == .cancelled(wasSent: true))
            gate.open()
            #expect(try await client.send(.get("next")).text == "next")
            let early = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await failure(client, RedisCommand("X", "never sent"))
            }
            #expect(await early.value == .cancelled(wasSent: false))
        }
        #expect(server.connectionCount == 1)
        #expect(server.requests.map { $0.words[1] } == ["slow", "next"])
    }

    @Test func `a caller that is cancelled between two attempts returns at once`() async throws {
        let server = try ScriptedRedis { _ in .close }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.retryDelay = .seconds(50) }) { client async throws in
            let task = Task { await failure(client, .get("k")) }
            #expect(await eventually { server.requests.count == 1 && client.pendingCommands == 0 })
            task.cancel()
            #expect(await task.value == .cancelled(wasSent: true))
        }
    }

    @Test func `a full inbox refuses commands`() async throws {
        let server = try ScriptedRedis { _ in .silence }
        defer { server.stop() }
        let client = try RedisClient(
            configuration: {
                var configuration = RedisConfiguration.port(server.port)
                configuration.maxPendingCommands = 10
                configuration.commandTimeout = .seconds(30)
                return configuration
            }()
        )
        await withTaskGroup(of: RedisError?.self) { group in
            for _ in 0..<10 { group.addTask { await failure(client, RedisCommand("INCR", "n")) } }
            #expect(await eventually { client.pendingCommands == 10 })
            #expect(await failure(client, .ping) == .queueFull(limit: 10))
            await client.close()
            for await error in group {
                guard case .closed = error else {
                    Issue.record("unexpected \(String(describing: error))")
                    continue
                }
            }
        }
    }

    @Test func `commands wait for a connection that is being made, and fail when it cannot be`() async throws {
        let gate = Gate()
        let server = try ScriptedRedis { request in
            switch request.words[0] {
            case "SELECT": .replyAfter(gate, "-ERR DB index is out of range\r\n")
            default: .reply("+OK\r\n")
            }
        }
        defer { server.stop() }
        var configuration = RedisConfiguration.port(server.port)
        configuration.endpoint.database = 7
        configuration.retryDelay = nil
        configuration.commandTimeout = .seconds(30)
        try await withClient(configuration) { client async throws in
            await withTaskGroup(of: RedisError?.self) { group in
                for _ in 0..<100 { group.addTask { await failure(client, .ping) } }
                #expect(await eventually { client.pendingCommands == 100 })
                gate.open()
                for await error in group { #expect(error?.isRefused == true) }
            }
        }
    }

    @Test func `a peer that takes the connection and says nothing costs a caller its deadline`() async throws {
        let listener = try LoopbackListener()
        defer { listener.stop() }
        try await withClient(.port(listener.port), { $0.commandTimeout = .milliseconds(200) }) { client async throws in
            let startedAt = ContinuousClock.now
            let error = await failure(client, RedisCommand("INCR", "n"))
            #expect(error == .timedOut(after: .milliseconds(200), wasSent: false))
            // One attempt, the pause, and the second one, which already knows; the rest is for a busy machine.
            #expect(startedAt.duration(to: .now) < .seconds(5))
        }
    }

    @Test func `the error of a script that met a replica is typed, also that of older servers`() async throws {
        let server = try ScriptedRedis { _ in
            .reply("-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write\r\n")
        }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.retryDelay = nil }) { client async throws in
            #expect(await failure(client, RedisCommand("EVALSHA", "1", "0")) == .readOnly)
        }
    }
}
