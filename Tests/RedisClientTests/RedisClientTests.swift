import RedisClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct RedisClientTests {
    @Test func `replies of every kind come back as values`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            #expect(try await client.send(.ping) == .status("PONG"))
            #expect(try await client.send(.get("k")) == .null)
            #expect(try await client.send(.set("k", to: [1, 0, 255])) == .status("OK"))
            #expect(try await client.send(.get("k")).bytes == [1, 0, 255])
            #expect(try await client.send(RedisCommand("INCR", "n")) == .integer(1))
            #expect(try await client.send(RedisCommand("MGET", "k", "x")).array == [.bulk([1, 0, 255]), .null])
            let nested = try await client.send(
                RedisCommand("EVAL", "return {1, {redis.error_reply('E x'), 'b'}}", "0")
            )
            #expect(nested == .array([.integer(1), .array([.error("E x"), .bulk([98])])]))
            #expect(await failure(client, RedisCommand("INCR", "k"))?.isServer == true)
            #expect(client.state == .connected)
            #expect(client.pendingCommands == 0)
        }
    }

    @Test func `keys and values may hold any bytes, and 1 MB of them`() async throws {
        let server = try await RedisProcess(hasPort: true)
        let big = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let key: [UInt8] = [0, 13, 10, 36, 255, 0]
        for configuration in [RedisConfiguration.socket(server), .port(server.port)] {
            try await withClient(configuration) { client async throws in
                #expect(try await client.send(RedisCommand([Array("SET".utf8), key, big])) == .status("OK"))
                #expect(try await client.send(RedisCommand([Array("GET".utf8), key])).bytes == big)
                #expect(try await client.send(RedisCommand("KEYS", "*")) == .array([.bulk(key)]))
            }
        }
    }

    @Test func `a lifetime is given in milliseconds`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            _ = try await client.send(.set("k", to: [1], lifetime: .seconds(90)))
            let left = try await client.send(RedisCommand("PTTL", "k")).integer ?? 0
            #expect((80_000...90_000).contains(left))
        }
    }

    @Test func `10,000 commands of 64 tasks share round trips, and each gets its own reply`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            await withTaskGroup(of: Int.self) { group in
                for task in 0..<64 {
                    group.addTask {
                        var wrong = 0
                        for number in 0..<157 {
                            let text = "\(task)-\(number)"
                            let reply = try? await client.send(RedisCommand("ECHO", text))
                            if reply?.text != text { wrong += 1 }
                        }
                        return wrong
                    }
                }
                for await wrong in group { #expect(wrong == 0) }
            }
            let info = try await client.send(RedisCommand("INFO", "stats")).text ?? ""
            let reads = info.split(separator: "\r\n").first { $0.hasPrefix("total_reads_processed:") }
            let count = try #require(reads?.split(separator: ":").last.flatMap { Int($0) })
            #expect(count < 64 * 157 / 2)
        }
    }

    @Test func `10,000 commands of one call come back in order`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            let commands = (0..<10_000).map { RedisCommand("ECHO", "\($0)") }
            let results = await client.send(commands, deadline: .seconds(10))
            #expect(results.count == 10_000)
            #expect(results.enumerated().allSatisfy { (try? $1.get().text) == "\($0)" })
            #expect(await client.send([]).isEmpty)
            let mixed = await client.send([.ping, RedisCommand("NONSENSE"), .ping])
            #expect(mixed.map { $0.failure?.isServer } == [nil, true, nil])
        }
    }

    @Test func `the database of the URL is selected, also after a reconnection`() async throws {
        let server = try await RedisProcess()
        let url = "unix://\(server.socket)?db=3"
        try await withClient(RedisConfiguration(endpoint: try RedisEndpoint(url: url))) { client async throws in
            _ = try await client.send(.set("k", to: [1]))
            try await withClient(.socket(server)) { other async throws in
                #expect(try await other.send(.get("k")) == .null)
                _ = try await other.send(RedisCommand("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            }
            #expect(try await client.send(.get("k")).bytes == [1])
        }
        let wrong = RedisConfiguration(endpoint: try RedisEndpoint(url: "unix://\(server.socket)?db=99"))
        try await withClient(wrong) { client async throws in
            #expect(await failure(client, .ping)?.isRefused == true)
        }
    }

    @Test func `names and IPv4 addresses are reached by TCP`() async throws {
        let server = try await RedisProcess(hasPort: true)
        for host in ["localhost", "127.0.0.1"] {
            let endpoint = try RedisEndpoint(url: "redis://\(host):\(server.port)")
            try await withClient(RedisConfiguration(endpoint: endpoint)) { client async throws in
                #expect(try await client.send(.ping) == .status("PONG"))
            }
        }
        let unknown = try RedisEndpoint(url: "redis://no-such-host.invalid")
        try await withClient(RedisConfiguration(endpoint: unknown), { $0.commandTimeout = .seconds(20) }) {
            client async throws in
            #expect(await failure(client, .ping)?.isRefused == true)
        }
    }

    @Test func `a script is taught to Redis when it is not known`() async throws {
        let server = try await RedisProcess()
        let script = RedisScript("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
        try await withClient(.socket(server)) { client async throws in
            #expect(await failure(client, RedisCommand("EVALSHA", script.sha1, "0")) == .noScript)
            let reply = try await client.run(script, keys: [[0, 1]], arguments: [[2]])
            #expect(reply == .array([.bulk([0, 1]), .bulk([2]), .integer(1)]))
            _ = try await client.send(RedisCommand("SCRIPT", "FLUSH"))
            #expect(try await client.run(script, keys: [[0, 1]], arguments: [[2]]).array?.last == .integer(2))
            let loaded = try await client.send(RedisCommand("SCRIPT", "LOAD", script.source))
            #expect(loaded.text == script.sha1)
            await #expect(throws: RedisError.self) { try await client.run(RedisScript("not Lua")) }
        }
    }

    @Test(arguments: [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 1000])
    func `a script of any length has the name that Redis gives it`(length: Int) async throws {
        let server = try await RedisProcess()
        let script = RedisScript("--" + String(repeating: "x", count: length))
        try await withClient(.socket(server)) { client async throws in
            #expect(try await client.send(RedisCommand("SCRIPT", "LOAD", script.source)).text == script.sha1)
        }
    }

    @Test(arguments: [
        RedisCommand("SUBSCRIBE", "c"), RedisCommand("select", "1"), RedisCommand("MULTI"), RedisCommand("HELLO", "3"),
        RedisCommand("CLIENT", "reply", "OFF"), RedisCommand("MONITOR"), RedisCommand([]), RedisCommand(""),
    ])
    func `a command that would change the shared connection is refused`(command: RedisCommand) async throws {
        try await withClient(.port(1)) { client async throws in
            guard case .invalidCommand = await failure(client, command) else {
                Issue.record("not refused")
                return
            }
        }
    }

    @Test func `a bad configuration is refused`() {
        var configuration = RedisConfiguration.port(1)
        configuration.commandTimeout = .zero
        #expect(throws: RedisError.self) { try RedisClient(configuration: configuration) }
    }

    @Test func `what happens is reported`() async throws {
        let server = try await RedisProcess()
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer) { client async throws in
            _ = try await client.send(.ping)
            _ = try await client.send(.get("k"))
            _ = try await client.send(.set("k", to: [1]))
            _ = try await client.send(RedisCommand("get", "k"))
            _ = try await client.run(RedisScript("return 1"))
        }
        let recorded = observer.recorded
        #expect(recorded.outcomes[.ping] == [.ok])
        #expect(recorded.outcomes[.get] == [.null, .ok])
        #expect(recorded.outcomes[.set] == [.ok])
        #expect(recorded.outcomes[.evalsha] == [.other, .ok])
        #expect(recorded.outcomes[.other] == [.ok])
        #expect(recorded.changes == ["closed>connecting", "connecting>connected", "connected>closed"])
        #expect(recorded.reconnects.isEmpty)
    }
}
