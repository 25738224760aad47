import RedisClient
import Testing

struct RedisEndpointTests {
    @Test func `a URL gives server, user, password and database`() throws {
        let endpoint = try RedisEndpoint(url: "redis://al%40ice:p%3Aw%2F@cache.example:7000/3")
        #expect(endpoint.target == .server(RedisAddress(host: "cache.example", port: 7000)))
        #expect(endpoint.user == "al@ice")
        #expect(endpoint.password == RedisPassword("p:w/"))
        #expect(endpoint.database == 3)
    }

    @Test(arguments: [
        ("redis://localhost", RedisEndpoint.Target.server(RedisAddress(host: "localhost", port: 6379)), 0),
        ("redis://[::1]:7000/", .server(RedisAddress(host: "::1", port: 7000)), 0),
        ("REDIS://:p@10.0.0.1?db=4", .server(RedisAddress(host: "10.0.0.1", port: 6379)), 4),
        ("unix:///run/redis.sock?db=2", .socket(path: "/run/redis.sock"), 2),
        ("unix://:p@/run/my%20redis.sock", .socket(path: "/run/my redis.sock"), 0),
        (
            "redis+sentinel://a,b:27000/main/1",
            .sentinel(nodes: [.init(host: "a", port: 26379), .init(host: "b", port: 27000)], master: "main"), 1
        ),
    ])
    func `all forms are understood`(url: String, target: RedisEndpoint.Target, database: Int) throws {
        let endpoint = try RedisEndpoint(url: url)
        #expect(endpoint.target == target)
        #expect(endpoint.database == database)
    }

    @Test(arguments: [
        "", "localhost:6379", "http://localhost", "redis://", "redis://host:0", "redis://host:65536", "redis://host:+1",
        "redis://host/x", "redis://host/1/2", "redis://host/1?db=2", "redis://host?x=1", "redis://host#1",
        "redis://user@host", "redis://user:@host", "redis://a:b@c@host", "redis://:p/w@host", "redis://[::1",
        "redis://[x]",
        "redis://:%zz@host", "redis://:%00@host", "redis://:%ff@host", "redis://ho st", "unix://relative/path",
        "unix://",
        "redis+sentinel://a", "redis+sentinel://a/", "redis+sentinel://,/main",
    ])
    func `a malformed URL is refused`(url: String) {
        #expect(throws: RedisError.self) { try RedisEndpoint(url: url) }
    }

    @Test func `TLS is refused with words that help`() {
        let error = #expect(throws: RedisError.self) { try RedisEndpoint(url: "rediss://:hush@host") }
        #expect(error?.description.contains("TLS") == true)
        #expect(error?.description.contains("stunnel") == true)
    }

    @Test func `S6 no password is shown by an endpoint, a configuration or an error about a URL`() throws {
        let endpoint = try RedisEndpoint(url: "redis://alice:hush@host/1")
        let configuration = RedisConfiguration(endpoint: endpoint)
        var dumped = ""
        dump(configuration, to: &dumped)
        dump(endpoint, to: &dumped)
        let texts = [
            "\(endpoint)", String(reflecting: endpoint), "\(configuration)", String(reflecting: configuration), dumped,
        ]
        for text in texts { #expect(!text.contains("hush")) }
        let error = #expect(throws: RedisError.self) { try RedisEndpoint(url: "redis://alice:hush@host/x") }
        #expect(error.map { String(reflecting: $0).contains("hush") } == false)
    }
}
