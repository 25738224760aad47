import DaemonConfiguration
import RedisClient
import Testing

@Suite struct RedisURLTests {
    func settings(_ url: String) throws -> RedisSettings {
        try load(environment: ["REDIS_URL": url]).get().settings.redis
    }

    @Test(arguments: [
        ("redis://cache", "cache", 6379 as UInt16, 0), ("redis://cache:6380/3", "cache", 6380, 3),
        ("redis://10.0.0.1/", "10.0.0.1", 6379, 0), ("redis://[fd00::1]:7000/1", "fd00::1", 7000, 1),
        ("redis://cache?db=4", "cache", 6379, 4), ("REDIS://cache", "cache", 6379, 0),
    ])
    func `a server is named by host, port and database`(url: String, host: String, port: UInt16, db: Int) throws {
        let endpoint = try #require(try settings(url).endpoint)
        guard case .server(let node) = endpoint.target else {
            Issue.record("not a server")
            return
        }
        #expect(node.host == host)
        #expect(node.port == port)
        #expect(endpoint.database == db)
        #expect(endpoint.password == nil)
    }

    @Test func `user and password are unescaped once`() throws {
        let endpoint = try #require(try settings("redis://us%2Fer:p%40s%2525s@cache").endpoint)
        #expect(endpoint.user == "us/er")
        #expect(endpoint.password == RedisPassword("p@s%25s"))
        #expect(try settings("redis://:pw@cache").endpoint?.user == nil)
    }

    @Test func `a socket is named by its path`() throws {
        let endpoint = try #require(try settings("unix://:pw@/run/redis.sock?db=2").endpoint)
        #expect(endpoint.target == .socket(path: "/run/redis.sock"))
        #expect(endpoint.database == 2)
        #expect(endpoint.password == RedisPassword("pw"))
    }

    @Test func `sentinels are named with their master`() throws {
        let endpoint = try #require(try settings("redis+sentinel://:pw@s1:1,s2,[::1]:3/main/5").endpoint)
        guard case .sentinel(let nodes, let master) = endpoint.target else {
            Issue.record("no sentinel")
            return
        }
        #expect(nodes.map(\.host) == ["s1", "s2", "::1"])
        #expect(nodes.map(\.port) == [1, 26379, 3])
        #expect(master == "main")
        #expect(endpoint.database == 5)
    }

    @Test(arguments: ["rediss://cache", "rediss://:hunter2@cache:6380/0", "rediss+sentinel://s/main"])
    func `TLS is refused with words`(url: String) {
        let problem = faults(environment: ["REDIS_URL": url]).problem(of: "redis.url")
        #expect(problem?.contains("asks for TLS") == true)
    }

    @Test(arguments: [
        "redis://", "redis://:6379", "redis://cache:0", "redis://cache:port", "redis://cache/x", "redis://cache/1/2",
        "redis://cache/-1", "redis://user@cache", "redis://a@b@cache", "redis://:p/w@cache", "redis://:p%zz@cache",
        "redis://:p%00@cache", "redis://:p%+1@cache", "redis://cache?timeout=1", "redis://cache#1", "redis://[::1",
        "unix://run/redis.sock", "unix://", "redis+sentinel://s1,s2", "redis+sentinel://s1,,s2/main",
        "redis://cache/1?db=2", "memcached://cache", "cache",
    ])
    func `a malformed URL is refused`(url: String) {
        #expect(faults(environment: ["REDIS_URL": url]).map(\.key) == ["redis.url"])
    }
}
