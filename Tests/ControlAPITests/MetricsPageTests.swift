import HTTPServer
import HTTPTypes
import ManagerMetrics
import PrometheusClient
import SandboxCore
import TestSupport
import Testing

@testable import ControlAPI

@Suite(.timeLimit(.minutes(1))) struct MetricsPageTests {
    private func get(
        _ fixture: APIFixture,
        _ path: String,
        _ method: HTTPRequest.Method = .get,
        accept: String? = nil
    ) async -> Reply {
        var headers: HTTPFields = [:]
        headers[.accept] = accept
        return await fixture.send(method, path, headers: headers, to: fixture.page)
    }

    @Test func `the page is well formed in both formats`() async throws {
        let fixture = try APIFixture()
        _ = await fixture.send(.put, APIFixture.sandbox)
        let text = await get(fixture, "/metrics")
        #expect(text.status == 200 && text.isImmediate)
        #expect(text[header: .contentType] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(ExpositionChecker.problems(in: text.response.body, format: .text).isEmpty)
        let open = await get(fixture, "/metrics", accept: "application/openmetrics-text; version=1.0.0")
        #expect(open[header: .contentType] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        #expect(ExpositionChecker.problems(in: open.response.body, format: .openMetrics).isEmpty)
    }

    @Test(arguments: ["image/png", "text/plain;q=0, application/openmetrics-text;q=0", "*/*;q=0", "", "rubbish;;q=x,"])
    func `what accepts no format gets the text format, never 406`(accept: String) async throws {
        let fixture = try APIFixture()
        for method in [HTTPRequest.Method.get, .head] {
            let reply = await get(fixture, "/metrics", method, accept: accept)
            #expect(reply.status == 200)
            #expect(
                ExpositionChecker.problems(inContentType: reply[header: .contentType], format: .text).isEmpty
            )
        }
    }

    @Test func `requests of both listeners are counted`() async throws {
        let fixture = try APIFixture()
        _ = await fixture.send(.put, APIFixture.sandbox)
        _ = await fixture.send(.put, APIFixture.sandbox)
        _ = await fixture.send(.patch, APIFixture.sandbox)
        _ = await fixture.send(.get, "/nowhere")
        _ = await get(fixture, "/metrics")
        _ = await get(fixture, "/healthz", .head)
        let sandbox = Route.sandbox.rawValue
        let expected: [(String, String, String)] = [
            (sandbox, "PUT", "201"), (sandbox, "PUT", "200"), ("/metrics", "GET", "200"), ("/healthz", "HEAD", "200"),
        ]
        for (route, method, code) in expected {
            let labels = ["route": route, "method": method, "code": code]
            #expect(try fixture.metric("http_requests_total", labels) == 1, "\(labels)")
        }
        // No child for a pair of route and method that is refused.
        let other = ["route": "other", "method": "other"]
        #expect(try fixture.metric("http_requests_total", other.merging(["code": "other"]) { $1 }) == 1)
        #expect(try fixture.metric("http_requests_total", other.merging(["code": "404"]) { $1 }) == 1)
        #expect(try fixture.metric("metrics_scrapes_total", ["code": "200"]) == 1)
        #expect(fixture.metrics.registry.rejectedUpdates == 0)
    }

    @Test func `a collector that fails gives 500 and no page`() async throws {
        struct Broken: Error {}
        let fixture = try APIFixture()
        fixture.metrics.registry.onCollect("broken") { throw Broken() }
        let reply = await get(fixture, "/metrics")
        #expect(reply.status == 500)
        #expect(!reply.text.contains("sandbox_manager_"))
        #expect(await get(fixture, "/healthz").status == 200)
    }

    @Test(arguments: ["/metrics", "/healthz", "/readyz"])
    func `only GET and HEAD are answered`(path: String) async throws {
        let fixture = try APIFixture()
        #expect(await get(fixture, path, .head).status == 200)
        for method in [HTTPRequest.Method.post, .put, .delete, .options] {
            let reply = await get(fixture, path, method)
            #expect(reply.status == 405)
            #expect(reply[header: .allow] == "GET, HEAD")
        }
    }

    @Test(arguments: ["/", "/metrics/", "/v1/stats", APIFixture.sandbox, "/v1/users/%zz/projects/p/sandbox"])
    func `the API is not served here`(path: String) async throws {
        #expect(try await get(APIFixture(), path).status == 404)
    }

    @Test func `readiness ends with draining, life does not`() async throws {
        let fixture = try APIFixture()
        let ready = await get(fixture, "/readyz")
        #expect(ready.status == 200)
        #expect(ready["status"] == "ready")
        #expect(ready["provider"] == "simulated")
        #expect(ready["store_mode"] == "memory")
        fixture.manager.beginDraining()
        let draining = await get(fixture, "/readyz")
        #expect(draining.status == 503)
        #expect(draining["status"] == "draining")
        #expect(draining[header: .retryAfter] != nil)
        #expect(await get(fixture, "/healthz").status == 200)
        #expect(await get(fixture, "/metrics").status == 200)
    }

    @Test func `no cache may keep a state of health`() async throws {
        let fixture = try APIFixture()
        for path in ["/healthz", "/readyz", "/metrics", "/nowhere"] {
            #expect(await get(fixture, path)[header: .cacheControl] == "no-store", "\(path)")
        }
    }

    @Test func `everything answers while the provider hangs`() async throws {
        let fixture = try APIFixture()
        fixture.provider.creates.close()
        async let created = fixture.send(.put, APIFixture.sandbox)
        #expect(await poll { fixture.provider.creates.waiters == 1 })
        for path in ["/metrics", "/healthz", "/readyz"] {
            let reply = await get(fixture, path)
            #expect(reply.status == 200 && reply.isImmediate)
        }
        #expect(try fixture.metric("create_intents") == 1)
        #expect(try fixture.metric("user_locks", ["state": "held"]) == 1)
        fixture.provider.creates.open()
        #expect(await created.status == 201)
    }

    @Test(arguments: ServerRefusal.allCases)
    func `the server's own refusals are short texts`(refusal: ServerRefusal) throws {
        let reply = Reply(try APIFixture().page.refusal(refusal, request: nil))
        #expect(reply.status == refusal.status)
        #expect(reply.text == "\(refusal.detail)\n")
    }
}
