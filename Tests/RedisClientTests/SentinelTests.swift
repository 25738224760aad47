import RedisClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)), .enabled(if: RedisProcess.isInstalled))
struct SentinelTests {
    /// A master, a replica that has caught up, and three sentinels that know it.
    private struct Group {
        let master: RedisProcess
        let replica: RedisProcess
        let sentinels: [RedisProcess]

        init() async throws {
            let extra = ["--repl-diskless-sync-delay", "0", "--requirepass", "hush", "--masterauth", "hush"]
            let master = try await RedisProcess(extra, hasPort: true)
            replica = try await RedisProcess(extra + ["--replicaof", "127.0.0.1 \(master.port)"], hasPort: true)
            self.master = master
            var sentinels: [RedisProcess] = []
            for _ in 0..<3 {
                sentinels.append(
                    try await RedisProcess(sentinelFor: master, named: "main", password: "hush", quorum: 2)
                )
            }
            self.sentinels = sentinels
            for sentinel in sentinels {
                try await withClient(.socket(sentinel)) { client async throws in
                    let isReady = await eventually(within: .seconds(40)) {
                        let reply = try? await client.send(RedisCommand("SENTINEL", "MASTER", "main")).array
                        let texts = reply?.compactMap(\.text) ?? []
                        let facts = Dictionary(
                            stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) }
                        ) { first, _ in first }
                        return facts["num-slaves"] == "1" && facts["num-other-sentinels"] == "2"
                            && facts["flags"] == "master"
                    }
                    try #require(isReady)
                }
            }
        }

        var configuration: RedisConfiguration {
            get throws {
                let nodes = sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
                return RedisConfiguration(endpoint: try RedisEndpoint(url: "redis+sentinel://:hush@\(nodes)/main/2"))
            }
        }
    }

    @Test(arguments: [true, false])
    func `after a master and a sentinel crash or hang, writes go to the new master within 10 s`(isCrash: Bool)
        async throws
    {
        let group = try await Group()
        try await withClient(try group.configuration) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            _ = try await client.send(.set("k", to: [1]))
            let endpoint = "\(group.master.port)"
            #expect(try await client.send(RedisCommand("CONFIG", "GET", "port")).array?.last?.text == endpoint)
            if isCrash {
                group.sentinels[0].kill()
                group.master.kill()
            } else {
                group.sentinels[0].stop()
                group.master.stop()
            }
            let endedAt = ContinuousClock.now
            #expect(await eventually { (try? await client.send(.set("k", to: [2]))) != nil })
            let outage = endedAt.duration(to: .now)
            #expect(outage < .seconds(10))
            #expect(
                try await client.send(RedisCommand("CONFIG", "GET", "port")).array?.last?.text
                    == "\(group.replica.port)"
            )
            guard case .lost = await messages.next() else {
                Issue.record("the loss was not told")
                return
            }
            #expect(await messages.next() == .subscribed)
        }
    }

    @Test func `a planned failover moves writes and subscriptions, though the old master goes on taking both`()
        async throws
    {
        let group = try await Group()
        try await withClient(try group.configuration) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            _ = try await client.send(.set("k", to: [1]))
            try await withClient(.socket(group.sentinels[0])) { sentinel async throws in
                _ = try await sentinel.send(RedisCommand("SENTINEL", "FAILOVER", "main"))
            }
            let moved = await eventually(within: .seconds(10)) {
                let results = await client.send([.set("k", to: [2]), RedisCommand("CONFIG", "GET", "port")])
                return (try? results[0].get()) != nil
                    && (try? results[1].get().array?.last?.text) == "\(group.replica.port)"
            }
            #expect(moved)
            guard case .lost = await messages.next() else {
                Issue.record("the move was not told")
                return
            }
            #expect(await messages.next() == .subscribed)
            // Only the new master's subscribers are counted.
            #expect(try await client.send(.publish([1], to: "a")) == .integer(1))
        }
    }

    @Test func `an unknown master name and dead sentinels are told as refused`() async throws {
        let server = try ScriptedRedis { _ in .reply("*-1\r\n") }
        defer { server.stop() }
        for nodes in ["127.0.0.1:\(server.port)", "127.0.0.1:1,127.0.0.1:1"] {
            let endpoint = try RedisEndpoint(url: "redis+sentinel://\(nodes)/unknown")
            try await withClient(RedisConfiguration(endpoint: endpoint)) { client async throws in
                #expect(await failure(client, .ping)?.isRefused == true)
            }
        }
    }
}
