import RedisClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct LoginTests {
    @Test func `the password of the default user is used`() async throws {
        let server = try await RedisProcess(["--requirepass", "hush hush"])
        let url = "unix://:hush%20hush@\(server.socket)"
        try await withClient(RedisConfiguration(endpoint: try RedisEndpoint(url: url))) { client async throws in
            #expect(try await client.send(.ping) == .status("PONG"))
        }
    }

    @Test func `user and password of an ACL are used, and what the user may not do is an auth error`() async throws {
        let server = try await RedisProcess(
            ["--user"] + "alice on >hush ~a:* +@all -flushall -ping".split(separator: " ").map(String.init)
        )
        try await withClient(.socket(server, user: "alice", password: "hush")) { client async throws in
            #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).text == "alice")
            #expect(await failure(client, RedisCommand("FLUSHALL"))?.isAuth == true)
            #expect(await failure(client, .get("b:1"))?.isAuth == true)
            #expect(try await client.send(.get("a:1")) == .null)
        }
    }

    @Test(arguments: [nil, "wrong-secret"])
    func `S6 a wrong or missing password is an auth error that shows no password`(password: String?) async throws {
        let server = try await RedisProcess(["--requirepass", "right-secret"])
        let observer = RecordingObserver()
        try await withClient(.socket(server, password: password), observer: observer) { client async throws in
            let error = try #require(await failure(client, .ping))
            #expect(error.isAuth)
            #expect(!error.mayHaveReachedServer)
            for text in ["\(error)", String(reflecting: error), "\(client)"] { #expect(!text.contains("secret")) }
            #expect(client.state == .connecting)
        }
        #expect(observer.recorded.outcomes[.ping] == [.auth])
    }

    @Test func `S6 a server that repeats the arguments of AUTH in its error does not reveal the password`() async throws
    {
        let server = try ScriptedRedis { request in
            .reply("-ERR unknown command 'AUTH', with args beginning with: '\(request.words.last ?? "")'\r\n")
        }
        defer { server.stop() }
        var configuration = RedisConfiguration.port(server.port)
        configuration.endpoint.password = RedisPassword("hush")
        try await withClient(configuration) { client async throws in
            let error = try #require(await failure(client, .ping))
            #expect(error.isAuth)
            #expect(!String(reflecting: error).contains("hush"))
        }
        #expect(server.requests.first?.words == ["AUTH", "hush"])
    }

    @Test func `a password that becomes right later is noticed without a restart`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { admin async throws in
            try await withClient(.socket(server, user: "bob", password: "hush")) { client async throws in
                #expect(await failure(client, .ping)?.isAuth == true)
                _ = try await admin.send(RedisCommand("ACL", "SETUSER", "bob", "on", ">hush", "~*", "+@all"))
                #expect(await eventually { client.state == .connected })
                #expect(try await client.send(.ping) == .status("PONG"))
            }
        }
    }
}
