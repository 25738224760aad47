import Foundation
import HTTPServer
import HTTPTypes
import SandboxCore
import SimulatedProvider
import Testing

@testable import ControlAPI

@Suite(.timeLimit(.minutes(1))) struct LeaseRoutesTests {
    private let sandbox = APIFixture.sandbox

    @Test func `the first PUT creates, the next ones answer from memory at once`() async throws {
        let fixture = try APIFixture()
        let created = await fixture.send(.put, sandbox)
        #expect(created.status == 201)
        #expect(!created.isImmediate)
        #expect(created["source"] == "created")
        let again = await fixture.send(.put, sandbox)
        #expect(again.status == 200)
        #expect(again.isImmediate)
        #expect(again["source"] == "memory")
        #expect(again["sandbox_id"] == created["sandbox_id"])
    }

    @Test func `the reply names everything that is needed to use the sandbox`() async throws {
        let fixture = try APIFixture()
        let json = try await fixture.send(.put, sandbox).object
        #expect(
            Set(json.keys) == [
                "sandbox_id", "user_id", "project_id", "epoch", "source", "provider", "template", "domain",
                "envd_access_token", "traffic_access_token", "created_at", "expires_at",
            ]
        )
        #expect(json["user_id"] as? String == "u")
        #expect(json["project_id"] as? String == "p")
        #expect(json["provider"] as? String == "simulated")
        #expect(json["envd_access_token"] as? String == "envd-secret")
        #expect((json["epoch"] as? Int ?? 0) > 0)
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        let made = try #require(formatter.date(from: json["created_at"] as? String ?? ""))
        let ends = try #require(formatter.date(from: json["expires_at"] as? String ?? ""))
        #expect(abs(made.timeIntervalSinceNow) < 30)
        // Idle timeout and grace.
        #expect(abs(ends.timeIntervalSince(made) - 800) < 5)
    }

    @Test func `one of many callers creates, the others join`() async throws {
        let fixture = try APIFixture()
        fixture.provider.creates.close()
        let replies = await withTaskGroup(of: Reply.self) { group in
            for _ in 0..<8 { group.addTask { await fixture.send(.put, sandbox) } }
            let joined = await poll { fixture.manager.gauges().userLocks.waiters >= 7 }
            #expect(joined)
            fixture.provider.creates.open()
            return await group.reduce(into: [Reply]()) { $0.append($1) }
        }
        #expect(replies.map(\.status).sorted() == [200, 200, 200, 200, 200, 200, 200, 201])
        #expect(Set(replies.compactMap { $0["sandbox_id"] }).count == 1)
        #expect(replies.filter { $0.status == 200 }.allSatisfy { $0["source"] == "memory" })
        #expect(fixture.provider.base.peak == 1)
    }

    @Test func `wishes are refused even for a lease that is there`() async throws {
        let fixture = try APIFixture()
        _ = await fixture.send(.put, sandbox)
        for body in ["[]", #"{"metadata":{"user_id":"x"}}"#, #"{"timeout_seconds":14}"#, #"{"timeout_seconds":3601}"#] {
            let reply = await fixture.send(.put, sandbox, body: body)
            #expect(reply.status == 400, "\(body)")
            #expect(reply["code"] == "invalid_argument")
        }
        #expect(await fixture.send(.put, sandbox, body: #"{"timeout_seconds":15}"#).status == 200)
    }

    @Test func `an unknown template is the provider's refusal`() async throws {
        let reply = try await APIFixture().send(.put, sandbox, body: #"{"template":"nope"}"#)
        #expect(reply.status == 502)
        #expect(reply["code"] == "provider_rejected")
    }

    @Test func `L8 a limit is told with its numbers`() async throws {
        let fixture = try APIFixture { $0.limits = SlotLimits(perUser: 1, total: 2) }
        #expect(await fixture.send(.put, sandbox).status == 201)
        let refused = await fixture.send(.put, "/v1/users/u/projects/q/sandbox")
        #expect(refused.status == 429)
        #expect(refused["code"] == "user_limit")
        #expect(try refused.object["limit"] as? Int == 1)
        #expect(try refused.object["in_use"] as? Int == 1)
        #expect(refused[header: .retryAfter] != nil)
        #expect(await fixture.send(.put, "/v1/users/v/projects/q/sandbox").status == 201)
        let full = await fixture.send(.put, "/v1/users/w/projects/q/sandbox")
        #expect(full.status == 503)
        #expect(full["code"] == "total_limit")
    }

    @Test func `S4 GET and HEAD describe and 404 where there is none`() async throws {
        let fixture = try APIFixture()
        for method in [HTTPRequest.Method.get, .head] {
            let missing = await fixture.send(method, sandbox)
            #expect(missing.status == 404)
            #expect(missing["code"] == "not_found")
        }
        _ = await fixture.send(.put, sandbox)
        for method in [HTTPRequest.Method.get, .head] {
            let found = await fixture.send(method, sandbox)
            #expect(found.status == 200)
            #expect(found["state"] == "running")
            #expect(found["last_used_at"]?.hasSuffix("Z") == true)
            #expect(found["envd_access_token"] == "envd-secret")
        }
    }

    @Test func `DELETE is 204, also when there is nothing`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.delete, sandbox).status == 204)
        _ = await fixture.send(.put, sandbox)
        let released = await fixture.send(.delete, sandbox)
        #expect(released.status == 204)
        #expect(released.response.body.isEmpty)
        #expect(await fixture.send(.delete, sandbox).status == 204)
        #expect(fixture.provider.base.count == 0)
        #expect(await fixture.send(.get, sandbox).status == 404)
    }

    @Test func `DELETE is 202 while the kill takes long, and 204 once it is done`() async throws {
        let fixture = try APIFixture { $0.releaseWait = .milliseconds(50) }
        _ = await fixture.send(.put, sandbox)
        fixture.provider.kills.close()
        let slow = await fixture.send(.delete, sandbox)
        #expect(slow.status == 202)
        #expect(slow.text == #"{"state":"releasing"}"#)
        #expect(await fixture.send(.delete, sandbox).status == 202)
        fixture.provider.kills.open()
        #expect(await poll { await fixture.send(.delete, sandbox).status == 204 })
    }

    @Test func `keepalive prolongs, and needs a lease`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.post, sandbox + "/keepalive").status == 404)
        let created = await fixture.send(.put, sandbox)
        let kept = await fixture.send(.post, sandbox + "/keepalive")
        #expect(kept.status == 200)
        #expect(kept["sandbox_id"] == created["sandbox_id"])
        #expect(kept["state"] == "running")
    }

    @Test func `a paused sandbox is shown so and resumed by the next PUT`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.post, sandbox + "/pause").status == 404)
        let created = await fixture.send(.put, sandbox)
        let paused = await fixture.send(.post, sandbox + "/pause")
        #expect(paused.status == 200)
        #expect(paused["state"] == "paused")
        #expect(await fixture.send(.get, sandbox)["state"] == "paused")
        let resumed = await fixture.send(.put, sandbox)
        #expect(resumed.status == 200)
        #expect(resumed["source"] == "verified")
        #expect(resumed["sandbox_id"] == created["sandbox_id"])
        #expect(await fixture.send(.get, sandbox)["state"] == "running")
    }

    @Test func `pause is 501 where the provider cannot`() async throws {
        let fixture = try APIFixture(canPause: false)
        _ = await fixture.send(.put, sandbox)
        let reply = await fixture.send(.post, sandbox + "/pause")
        #expect(reply.status == 501)
        #expect(reply["code"] == "unsupported")
    }

    @Test func `report-unhealthy tells the verdict`() async throws {
        let fixture = try APIFixture()
        #expect(await fixture.send(.post, sandbox + "/report-unhealthy").status == 404)
        let created = await fixture.send(.put, sandbox)
        let fine = await fixture.send(.post, sandbox + "/report-unhealthy")
        #expect(fine.status == 200)
        #expect(fine["verdict"] == "ok")
        fixture.provider.base.vanish(SandboxID(try #require(created["sandbox_id"])))
        #expect(await fixture.send(.post, sandbox + "/report-unhealthy")["verdict"] == "gone")
        let replaced = await fixture.send(.put, sandbox)
        #expect(replaced.status == 201)
        #expect(replaced["sandbox_id"] != created["sandbox_id"])
    }

    @Test func `exec reads its body before anything, and is 501 in a simulation`() async throws {
        let fixture = try APIFixture()
        let exec = sandbox + "/exec"
        #expect(await fixture.send(.post, exec).status == 400)
        #expect(await fixture.send(.post, exec, body: #"{"command":"ls"}"#).status == 400)
        #expect(await fixture.send(.post, exec, body: #"{"command":["ls"]}"#).status == 404)
        _ = await fixture.send(.put, sandbox)
        let reply = await fixture.send(.post, exec, body: #"{"command":["ls"]}"#)
        #expect(reply.status == 501)
        #expect(reply["code"] == "unsupported")
    }

    @Test func `what a command prints is shown, bytes that are no text replaced`() throws {
        var result = ExecResult(standardOutput: [0x61, 0xFF, 0x0A, 0], standardError: [0xC3], exitCode: nil, signal: 9)
        result.truncated = true
        let json = try Reply(Replies.exec(result)).object
        #expect(json["stdout"] as? String == "a\u{FFFD}\n\0")
        #expect(json["stderr"] as? String == "\u{FFFD}")
        #expect(json["exit_code"] is NSNull)
        #expect(json["signal"] as? Int == 9)
        #expect(json["timed_out"] as? Bool == false)
        #expect(json["truncated"] as? Bool == true)
    }

    @Test func `a lease near its greatest age is handed out with a warning`() async throws {
        // The last 10 minutes begin at once.
        let fixture = try APIFixture {
            $0.maxAge = .seconds(500)
            $0.idleTimeout = .seconds(100)
        }
        for status in [201, 200] {
            let reply = await fixture.send(.put, sandbox)
            #expect(reply.status == status)
            #expect(reply[header: .warning]?.hasPrefix("299 ") == true)
        }
        let young = try await APIFixture().send(.put, sandbox)
        #expect(young[header: .warning] == nil)
    }
}
