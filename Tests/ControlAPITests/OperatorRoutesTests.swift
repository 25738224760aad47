import Foundation
import HTTPTypes
import SandboxCore
import Testing

@testable import ControlAPI

@Suite(.timeLimit(.minutes(1))) struct OperatorRoutesTests {
    private static let routes = ["/v1/admin/stop-creates", "/v1/admin/resume-creates", "/v1/admin/drain"]

    @Test func `stopped creations are refused with words, and the rest goes on`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.put, APIFixture.sandbox).status == 201)
        for _ in 0..<2 {
            let reply = await fixture.send(.post, "/v1/admin/stop-creates")
            #expect(reply.status == 200)
            #expect(try reply.object["creations_stopped"] as? Bool == true)
            #expect(try reply.object["leases"] as? Int == 1)
        }
        let refused = await fixture.send(.put, "/v1/users/u/projects/other/sandbox")
        #expect(refused.status == 503 && refused["code"] == "draining")
        #expect(refused["detail"]?.contains("an operator stopped creations") == true)
        #expect(refused[header: .retryAfter] == "30")
        #expect(await fixture.send(.put, APIFixture.sandbox).status == 200)
        #expect(try await fixture.send(.get, "/v1/stats").object["creations_stopped"] as? Bool == true)
        let ready = await fixture.send(.get, "/readyz", to: fixture.page)
        #expect(try ready.status == 200 && ready.object["creations_stopped"] as? Bool == true)
        #expect(await fixture.send(.post, "/v1/admin/resume-creates").status == 200)
        #expect(await fixture.send(.put, "/v1/users/u/projects/other/sandbox").status == 201)
    }

    @Test func `a drain counts what is under way and takes readiness away`() async throws {
        let fixture = try APIFixture()
        fixture.provider.creates.close()
        async let created = fixture.send(.put, APIFixture.sandbox)
        #expect(await poll { fixture.provider.creates.waiters == 1 })
        let busy = await fixture.send(.post, "/v1/admin/drain")
        let inFlight = try #require(try busy.object["operations_in_flight"] as? Int)
        #expect(busy.status == 200 && inFlight > 0)
        #expect(try busy.object["draining"] as? Bool == true)
        #expect(await fixture.send(.get, "/readyz", to: fixture.page).status == 503)
        #expect(await fixture.send(.put, "/v1/users/u/projects/other/sandbox")["code"] == "draining")
        fixture.provider.creates.open()
        #expect(await created.status == 201, "what began before the drain ends well")
        #expect(
            try await poll {
                try await fixture.send(.post, "/v1/admin/drain").object["operations_in_flight"] as? Int == 0
            }
        )
        #expect(try await fixture.send(.get, "/v1/stats").object["draining"] as? Bool == true)
    }

    @Test(arguments: routes) func `they take POST alone, with the token where there is one`(path: String) async throws {
        let fixture = try APIFixture(tokens: ["token-0123456789"])
        #expect(await fixture.send(.post, path).status == 401)
        let headers: HTTPFields = [.authorization: "Bearer token-0123456789"]
        let reply = await fixture.send(.get, path, headers: headers)
        #expect(reply.status == 405 && reply[header: .allow] == "POST")
        #expect(!fixture.manager.isDraining && !fixture.manager.areCreationsStopped)
        #expect(await fixture.send(.post, path, headers: headers).isImmediate)
    }

    @Test(arguments: routes) func `no web page and no foreign host may say them`(path: String) async throws {
        let fixture = try APIFixture()
        let page: HTTPFields = [.host: "localhost", .origin: "https://evil.example"]
        #expect(await fixture.send(.post, path, headers: page).status == 401)
        #expect(await fixture.send(.post, path, headers: [.host: "evil.example"]).status == 401)
        #expect(!fixture.manager.isDraining && !fixture.manager.areCreationsStopped)
    }
}
