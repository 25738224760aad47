import RedisClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct OutageTests {
    @Test func `T10 a Redis that is down at the start is found when it comes`() async throws {
        let server = try await RedisProcess()
        server.kill()
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer) { client async throws in
            #expect(await failure(client, .ping)?.isRefused == true)
            #expect(client.state == .connecting)
            try await server.start()
            #expect(await eventually(within: .seconds(5)) { client.state == .connected })
            #expect(try await client.send(.ping) == .status("PONG"))
        }
        #expect(observer.recorded.reconnects.first == false)
        #expect(observer.recorded.reconnects.last == true)
    }

    @Test func `a crash answers 1,000 commands in flight with reset, and a restart ends the outage`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server), { $0.commandTimeout = .seconds(30) }) { client async throws in
            _ = try await client.send(.ping)
            server.stop()
            await withTaskGroup(of: RedisError?.self) { group in
                for number in 0..<1000 {
                    group.addTask { await failure(client, RedisCommand("INCR", "n\(number)")) }
                }
                #expect(await eventually { client.pendingCommands == 1000 })
                let killedAt = ContinuousClock.now
                server.kill()
                var resets = 0
                for await error in group {
                    // What was not written yet when the connection broke surely did not reach it.
                    if error?.isReset == true { resets += 1 } else { #expect(error?.mayHaveReachedServer == false) }
                }
                #expect(resets > 0)
                #expect(killedAt.duration(to: .now) < .seconds(5))
            }
            #expect(client.pendingCommands == 0)
            #expect(await failure(client, .ping)?.isRefused == true)
            try await server.start()
            #expect(await eventually(within: .seconds(5)) { client.state == .connected })
            #expect(try await client.send(RedisCommand("INCR", "n1")) == .integer(1))
        }
    }

    @Test func `an idle connection that ends is made anew before anybody needs it`() async throws {
        let server = try await RedisProcess()
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer) { client async throws in
            _ = try await client.send(.ping)
            try await withClient(.socket(server)) { admin async throws in
                _ = try await admin.send(RedisCommand("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            }
            #expect(await eventually { observer.recorded.reconnects == [true] })
            #expect(try await client.send(RedisCommand("INCR", "n")) == .integer(1))
        }
    }

    @Test func `T2 a Redis that hangs costs each caller its deadline at most, then nothing, and is found again`()
        async throws
    {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            _ = try await client.send(.set("k", to: [7]))
            server.stop()
            let stoppedAt = ContinuousClock.now
            await withTaskGroup(of: (RedisError?, Duration).self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        let startedAt = ContinuousClock.now
                        // Not idempotent and sent: no retry, so the time is that of one attempt.
                        let error = await failure(client, RedisCommand("INCR", "n"))
                        return (error, startedAt.duration(to: .now))
                    }
                }
                for await (error, duration) in group {
                    #expect(error?.isTimedOut == true)
                    #expect(duration > .milliseconds(900) && duration < .milliseconds(2500))
                }
            }
            // The outage is known now.
            while stoppedAt.duration(to: .now) < .seconds(4) {
                let startedAt = ContinuousClock.now
                let error = await failure(client, .get("k"))
                #expect(error?.isTimedOut == true)
                #expect(error?.mayHaveReachedServer == false)
                #expect(startedAt.duration(to: .now) < .milliseconds(900))
            }
            server.resume()
            let resumedAt = ContinuousClock.now
            #expect(await eventually(within: .seconds(5)) { client.state == .connected })
            #expect(resumedAt.duration(to: .now) < .seconds(5))
            #expect(try await client.send(.get("k")).bytes == [7])
        }
    }

    @Test func `a command in flight is answered when the client is closed, and later ones too`() async throws {
        let server = try await RedisProcess()
        let client = try RedisClient(configuration: .socket(server))
        _ = try await client.send(.ping)
        server.stop()
        await withTaskGroup(of: RedisError?.self) { group in
            for _ in 0..<50 { group.addTask { await failure(client, RedisCommand("INCR", "n")) } }
            #expect(await eventually { client.pendingCommands == 50 })
            await client.close()
            for await error in group { #expect(error == .closed(wasSent: true)) }
        }
        await client.close()
        #expect(await failure(client, .ping) == .closed(wasSent: false))
        #expect(throws: RedisError.closed(wasSent: false)) { try client.subscribe(to: "c") }
        #expect(client.state == .closed)
        #expect(client.pendingCommands == 0)
    }

    @Test func `a client that nobody closes ends with its last reference`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { admin async throws in
            func useOne() async throws {
                let client = try RedisClient(configuration: .socket(server))
                _ = try await client.send(.ping)
                #expect(try await connections(admin) == 2)
            }
            try await useOne()
            let isGone = await eventually { (try? await connections(admin)) == 1 }
            #expect(isGone)
        }
    }

    @Test func `READONLY is typed, and after a failover writes reach a master again`() async throws {
        // A replica of nobody who answers still serves reads.
        let server = try await RedisProcess(["--replicaof", "127.0.0.1 1"])
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer, { $0.maxReconnectDelay = .milliseconds(50) }) {
            client async throws in
            #expect(await failure(client, .set("k", to: [1])) == .readOnly)
            #expect(await eventually { observer.recorded.reconnects.contains(true) })
            #expect(observer.recorded.outcomes[.set] == [.readOnly, .readOnly])
            let script = RedisScript("return redis.call('SET', KEYS[1], 'x')")
            await #expect(throws: RedisError.readOnly) { try await client.run(script, keys: [[1]]) }
            try await withClient(.socket(server)) { admin async throws in
                _ = try await admin.send(RedisCommand("REPLICAOF", "NO", "ONE"))
            }
            #expect(await eventually(within: .seconds(5)) { (try? await client.send(.set("k", to: [1]))) != nil })
        }
    }

    @Test func `I13 clients come and go without leaving descriptors or threads, and none is inheritable`() async throws
    {
        let server = try await RedisProcess()
        let before = openDescriptors()
        for round in 0..<30 {
            let client = try RedisClient(configuration: .socket(server))
            let stream = try client.subscribe(to: "c")
            var messages = stream.makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            _ = try await client.send(.ping)
            if round == 0 {
                let inheritable = openDescriptors().subtracting(before).filter(isInheritable)
                #expect(inheritable.isEmpty)
            }
            await client.close()
        }
        // Other suites may hold some at this moment, so a few are forgiven; 30 rounds of leaks would be many.
        #expect(await eventually { openDescriptors().count < before.count + 25 })
        try await withClient(.socket(server)) { admin async throws in
            let isGone = await eventually { (try? await connections(admin)) == 1 }
            #expect(isGone)
        }
    }

    private func connections(_ client: RedisClient) async throws -> Int {
        let list = try await client.send(RedisCommand("CLIENT", "LIST")).text ?? ""
        return list.split(separator: "\n").count
    }
}
