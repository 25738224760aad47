import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct GreetingTests {
    private let greeting = [RedisCommand("HELLO-STORE", "1"), RedisCommand("HELLO-STORE", "2")]

    @Test func `every new connection is greeted before any command that waits for it`() async throws {
        let server = try ScriptedRedis { request in
            request.words == ["GET", "first"] ? .close : .reply("+OK\r\n")
        }
        defer { server.stop() }
        try await withClient(
            .port(server.port),
            {
                $0.greeting = greeting
                $0.commandTimeout = .seconds(20)
                $0.retryDelay = nil
            }
        ) { client async throws in
            #expect(await failure(client, .get("first"))?.isReset == true)
            async let second = client.send(.get("second"))
            async let third = client.send(.get("third"))
            #expect(try await (second, third) == (.status("OK"), .status("OK")))
        }
        for connection in 1...2 {
            let words = server.requests.filter { $0.connection == connection }.map(\.words)
            #expect(Array(words.prefix(2)) == [["HELLO-STORE", "1"], ["HELLO-STORE", "2"]])
            #expect(words.count == connection + 2)
        }
    }

    @Test func `a greeting that is refused fails the attempt, and another follows`() async throws {
        let refusals = Atomic<Int>(0)
        let server = try ScriptedRedis { request in
            guard request.words[0] == "HELLO-STORE" else { return .reply("+OK\r\n") }
            return refusals.add(1, ordering: .relaxed).newValue < 3 ? .reply("-MISCONF no\r\n") : .reply("+OK\r\n")
        }
        defer { server.stop() }
        let observer = RecordingObserver()
        try await withClient(
            .port(server.port),
            observer: observer,
            { $0.greeting = [RedisCommand("HELLO-STORE")] }
        ) { client async throws in
            #expect(await eventually { client.state == .connected })
            #expect(try await client.send(.get("k")) == .status("OK"))
        }
        #expect(observer.recorded.reconnects == [false, false, true])
        #expect(server.requests.map(\.words).filter { $0[0] == "GET" }.count == 1)
    }

    @Test(.enabled(if: RedisProcess.isInstalled)) func `the greeting comes after login and database`() async throws {
        let server = try await RedisProcess(["--requirepass", "hush"])
        var configuration = RedisConfiguration.socket(server, password: "hush")
        configuration.endpoint.database = 3
        configuration.greeting = [.set("greeted", to: [1])]
        try await withClient(configuration) { client async throws in
            #expect(try await client.send(.get("greeted")) == .bulk([1]))
        }
    }

    @Test func `a subscription is not greeted`() async throws {
        let server = try ScriptedRedis { request in
            request.words[0] == "SUBSCRIBE" ? .reply("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n") : .reply("+OK\r\n")
        }
        defer { server.stop() }
        try await withClient(.port(server.port), { $0.greeting = greeting }) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
        }
        let subscription = try #require(server.requests.first { $0.words[0] == "SUBSCRIBE" })
        #expect(server.requests.filter { $0.connection == subscription.connection }.count == 1)
    }

    @Test func `a greeting that would change the connection is refused`() {
        var configuration = RedisConfiguration.port(1)
        configuration.greeting = [RedisCommand("SELECT", "1")]
        #expect(throws: RedisError.self) { try RedisClient(configuration: configuration) }
    }
}
