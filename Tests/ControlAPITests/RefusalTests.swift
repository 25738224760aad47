import HTTPServer
import HTTPTypes
import ManagerMetrics
import SandboxCore
import SimulatedProvider
import Testing

@testable import ControlAPI

@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    private static let methods: [HTTPRequest.Method] = [
        .get, .head, .put, .post, .delete, .patch, .options, .trace, .connect,
    ]
    private static let routes: [(path: String, allow: String)] = [
        ("/v1/users/u/projects/p/sandbox", "PUT, GET, HEAD, DELETE"),
        ("/v1/users/u/projects/p/sandbox/keepalive", "POST"),
        ("/v1/users/u/projects/p/sandbox/pause", "POST"),
        ("/v1/users/u/projects/p/sandbox/report-unhealthy", "POST"),
        ("/v1/users/u/projects/p/sandbox/exec", "POST"),
        ("/v1/sandboxes", "GET, HEAD"),
        ("/v1/stats", "GET, HEAD"),
        ("/v1/explain/u/p", "GET, HEAD"),
    ]

    @Test(arguments: routes)
    func `every other method is 405 with Allow`(path: String, allow: String) async throws {
        let fixture = try APIFixture()
        let allowed = Set(allow.split(separator: ", ").map(String.init))
        for method in Self.methods + [HTTPRequest.Method("put"), HTTPRequest.Method("BREW")].compactMap({ $0 }) {
            let reply = await fixture.send(method, path)
            guard !allowed.contains(method.rawValue) else {
                #expect(reply.status != 405 && reply["code"] != "internal", "\(method) \(path)")
                continue
            }
            #expect(reply.status == 405, "\(method) \(path)")
            #expect(reply[header: .allow] == allow)
            #expect(reply["code"] == "method_not_allowed")
        }
    }

    @Test(arguments: ["/", "*", "/v1", "/v1/sandboxes/", "/metrics", "/healthz", "/readyz", "/v1/users/u/projects/p"])
    func `there is no other route`(path: String) async throws {
        let fixture = try APIFixture()
        let reply = await fixture.send(.get, path)
        #expect(reply.status == 404)
        #expect(reply["code"] == "route_not_found")
    }

    @Test(arguments: [
        "text/plain", "application/jsonx", "application/json-patch+json", "application/json junk", "", ";",
    ])
    func `a body of another type is 415`(type: String) async throws {
        let fixture = try APIFixture()
        let reply = await fixture.send(
            .put,
            APIFixture.sandbox,
            headers: [.host: "localhost", .contentType: type],
            body: "{}"
        )
        #expect(reply.status == 415)
        #expect(reply["code"] == "unsupported_media_type")
        #expect(fixture.provider.base.peak == 0)
    }

    @Test(arguments: [
        "application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json ;x=y",
        " application/json\t; charset=utf-8",
    ])
    func `application/json is understood however it is spelled`(type: String) async throws {
        let headers: HTTPFields = [.host: "localhost", .contentType: type]
        #expect(try await APIFixture().send(.put, APIFixture.sandbox, headers: headers, body: "{}").status == 201)
    }

    @Test func `a chunked body without a type is 415, no body needs no type`() async throws {
        let fixture = try APIFixture()
        let chunked: HTTPFields = [.host: "localhost", .transferEncoding: "chunked"]
        #expect(await fixture.send(.put, APIFixture.sandbox, headers: chunked).status == 415)
        let empty: HTTPFields = [.host: "localhost", .contentLength: "0"]
        #expect(await fixture.send(.put, APIFixture.sandbox, headers: empty).status == 201)
    }

    @Test(arguments: [
        "/v1/users/a%2Fb/projects/p/sandbox", "/v1/users//projects/p/sandbox", "/v1/users/u/projects//sandbox",
        "/v1/users/%zz/projects/p/sandbox", "/v1/users/%00/projects/p/sandbox", "/v1/users/u%20x/projects/p/sandbox",
        "/v1/users/u:x/projects/p/sandbox", "/v1/users/%c3%a9/projects/p/sandbox",
        "/v1/users/" + String(repeating: "x", count: 129) + "/projects/p/sandbox",
    ])
    func `an id that is none is 400, and counted on its route`(path: String) async throws {
        let fixture = try APIFixture()
        let reply = await fixture.send(.put, path)
        #expect(reply.status == 400)
        #expect(reply["code"] == "invalid_argument")
        #expect(fixture.provider.base.peak == 0)
        let labels = ["route": Route.sandbox.rawValue, "method": "PUT", "code": "400"]
        #expect(try fixture.metric("http_requests_total", labels) == 1)
    }

    @Test func `the longest ids and every character they may have are served`() async throws {
        let user = "aZ09._-@+=|" + String(repeating: "x", count: 117)
        let reply = try await APIFixture().send(.put, "/v1/users/\(user)/projects/%61/sandbox")
        #expect(reply.status == 201)
        #expect(reply["user_id"] == user)
        #expect(reply["project_id"] == "a")
    }

    @Test func `a bad body is counted on its route`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.put, APIFixture.sandbox, body: "[]").status == 400)
        #expect(await fixture.send(.post, APIFixture.sandbox + "/exec", body: "[]").status == 400)
        for (route, method) in [(Route.sandbox, "PUT"), (.exec, "POST")] {
            let labels = ["route": route.rawValue, "method": method, "code": "400"]
            #expect(try fixture.metric("http_requests_total", labels) == 1)
        }
        #expect(try fixture.metric("http_request_duration_seconds_count", ["route": Route.sandbox.rawValue]) == 1)
    }

    @Test func `without the token nothing is told, not even whether a route exists`() async throws {
        let fixture = try APIFixture(tokens: ["token"])
        for path in [APIFixture.sandbox, "/v1/stats", "/nowhere", "/v1/users/%zz/projects/p/sandbox"] {
            for method in [HTTPRequest.Method.get, .put, .patch] {
                let reply = await fixture.send(method, path)
                #expect(reply.status == 401)
                #expect(reply["code"] == "unauthenticated")
                #expect(reply[header: .wwwAuthenticate] == "Bearer")
            }
        }
        let known: HTTPFields = [.authorization: "Bearer token"]
        #expect(await fixture.send(.get, "/v1/stats", headers: known).status == 200)
    }

    @Test func `while draining nothing new is begun`() async throws {
        let fixture = try APIFixture()
        _ = await fixture.send(.put, APIFixture.sandbox)
        fixture.manager.beginDraining()
        for (method, path) in [
            (HTTPRequest.Method.put, APIFixture.sandbox), (.put, "/v1/users/v/projects/p/sandbox"),
            (.delete, APIFixture.sandbox), (.post, APIFixture.sandbox + "/keepalive"),
            (.post, APIFixture.sandbox + "/pause"), (.post, APIFixture.sandbox + "/report-unhealthy"),
        ] {
            let reply = await fixture.send(method, path)
            #expect(reply.status == 503, "\(method) \(path)")
            #expect(reply["code"] == "draining")
            #expect(reply[header: .retryAfter] == "1")
        }
        #expect(await fixture.send(.get, APIFixture.sandbox).status == 200)
        #expect(await fixture.send(.get, "/v1/stats").status == 200)
    }

    @Test(arguments: ServerRefusal.allCases)
    func `the server's own refusals are problem documents`(refusal: ServerRefusal) throws {
        let fixture = try APIFixture()
        let request = ServerRequest(method: .put, rawPath: APIFixture.sandbox, headers: [:])
        for request in [nil, request] {
            let reply = Reply(fixture.api.refusal(refusal, request: request))
            #expect(reply.status == refusal.status)
            #expect(reply["detail"] == refusal.detail)
            #expect((reply[header: .retryAfter] != nil) == (refusal.status == 503))
            #expect((reply[header: .requestID] != nil) == (request != nil))
        }
    }

    @Test func `a request that takes too long is answered all the same`() async throws {
        let fixture = try APIFixture { $0.requestDeadline = .milliseconds(50) }
        fixture.provider.creates.close()
        let reply = await fixture.send(.put, APIFixture.sandbox)
        #expect(reply.status == 504)
        fixture.provider.creates.open()
    }

    // MARK: What every answer has

    @Test func `no cache may keep an answer, refusals included`() async throws {
        let fixture = try APIFixture()
        for (method, path) in [
            (HTTPRequest.Method.get, APIFixture.sandbox), (.put, APIFixture.sandbox), (.get, APIFixture.sandbox),
            (.patch, APIFixture.sandbox), (.get, "/nowhere"), (.get, "/v1/stats"), (.get, "/v1/sandboxes"),
            (.get, "/v1/explain/u/p"), (.post, APIFixture.sandbox + "/exec"),
        ] {
            let reply = await fixture.send(method, path)
            #expect(reply.headers(.cacheControl) == ["no-store"], "\(method) \(path)")
            #expect(reply.headers(.requestID).count == 1, "\(method) \(path)")
            #expect(reply.headers(.contentType).count == 1)
        }
        #expect(await fixture.send(.delete, APIFixture.sandbox).headers(.requestID).count == 1)
    }

    @Test(arguments: ["abc", "0", "a-b_c.d:e/f", String(repeating: "x", count: 64)])
    func `a caller's request id comes back`(id: String) async throws {
        let fixture = try APIFixture()
        let headers: HTTPFields = [.host: "localhost", .requestID: id]
        for (method, path) in [(HTTPRequest.Method.put, APIFixture.sandbox), (.get, "/nowhere"), (.get, "/v1/stats")] {
            #expect(await fixture.send(method, path, headers: headers).headers(.requestID) == [id])
        }
        let refused = await fixture.send(.patch, APIFixture.sandbox, headers: headers)
        #expect(refused["request_id"] == id)
        #expect(fixture.log.all.count == 4)
        #expect(fixture.log.all.allSatisfy { $0.contains(id) })
    }

    @Test(arguments: [
        "", " ", "a b", "a\"b", "a\\b", "é", "\u{202E}abc", "a, b", String(repeating: "x", count: 65),
    ])
    func `a request id that could forge a log line is replaced`(id: String) async throws {
        let fixture = try APIFixture()
        let headers: HTTPFields = [.host: "localhost", .requestID: id]
        let own = try #require(await fixture.send(.get, "/v1/stats", headers: headers)[header: .requestID])
        #expect(own != id)
        #expect(!own.isEmpty && own.utf8.allSatisfy { $0 > 32 && $0 < 127 })
    }

    @Test func `requests without an id get different ones`() async throws {
        let fixture = try APIFixture()
        var ids: Set<String> = []
        for _ in 0..<100 { ids.insert(await fixture.send(.get, "/v1/stats")[header: .requestID] ?? "") }
        #expect(ids.count == 100)
        // Another process has others.
        let other = try await APIFixture().send(.get, "/v1/stats")[header: .requestID]
        #expect(!ids.contains(other ?? ""))
    }

    @Test func `S6 no secret is logged`() async throws {
        let fixture = try APIFixture(tokens: ["token-secret"])
        let headers: HTTPFields = [.authorization: "Bearer token-secret", .contentType: "application/json"]
        let body = #"{"envs":{"KEY":"env-secret"}}"#
        #expect(await fixture.send(.put, APIFixture.sandbox, headers: headers, body: body).status == 201)
        #expect(await fixture.send(.get, APIFixture.sandbox, headers: headers).status == 200)
        #expect(!fixture.log.all.isEmpty)
        #expect(!fixture.log.all.contains { $0.contains("secret") })
    }
}
