import Testing

@testable import OperatorClient

@Suite(.timeLimit(.minutes(1))) struct OperatorClientTests {
    private static let stats = #"""
        {"version":"1.2","provider":"e2b","store_mode":"redis","draining":false,"creations_stopped":true,
        "requests":100,"created":20,"cleaned_up":15,"rejected":3,"cache_hits":80,"cache_misses":20,"hit_rate":0.8,
        "active":4,"paused":1,"creating":2,"releasing":1,"slots_in_use":8,"limit_total":100,"limit_per_user":2,
        "most_slots_of_one_user":2,"open_intents":2,"user_locks":3,"user_lock_waiters":5,"operations_in_flight":7,
        "ledger":{"creating":2,"leased":4,"paused":1,"warm":0,"killing":1,"oldest_kill_seconds":34.4,
        "oldest_intent_seconds":250},"locks":{"held":3,"idle":0,"waiters":5,"oldest_hold_seconds":2.25,
        "oldest_wait_seconds":2},"breakers":{"provider":"open","store":"closed"},
        "provider_last_listing":{"running":5,"paused":1},
        "drift":{"untracked_at_provider":1,"missing_at_provider":0,"store_only":0},
        "loops":[{"loop":"outbox","interval_seconds":2,"last_success":"2026-01-02T03:04:05.678Z"},
        {"loop":"reaper","interval_seconds":30,"last_success":null}]}
        """#

    @Test func `the status page says each thing once, a line each`() async throws {
        let desk = Desk(.reply(200, Self.stats))
        #expect(
            try await desk.client.status() == """
                sandbox-manager 1.2 at http://daemon.test:1

                ready      yes
                creations  STOPPED by an operator
                provider   e2b, breaker open; last listed 5 running, 1 paused
                store      redis, breaker closed
                slots      8 of 100 in use; the busiest user holds 2 of 2
                leases     4 running, 1 paused, 2 being created, 0 warm
                outbox     1 dying, the oldest for 34 s
                intents    2 open, the oldest for 4 min
                locks      3 held (the oldest for 2.3 s), 5 waiting, 0 idle
                drift      1 untracked at the provider, 0 missing there, 0 in the store only
                in flight  7 operations
                requests   100 acquires, 80 % from memory, 3 refused
                sandboxes  20 created, 15 cleaned up
                loops      outbox ended well at 2026-01-02T03:04:05Z; reaper has not run yet
                """
        )
        #expect(try await desk.client.status(asJSON: true) == Self.stats)
        #expect(desk.requests == ["GET /v1/stats", "GET /v1/stats"])
    }

    @Test func `numbers that no daemon says are shown and end nothing`() async throws {
        let odd = Self.stats.replacing("34.4", with: "1e300").replacing("0.8,", with: "-1e300,")
        let page = try await Desk(.reply(200, odd)).client.status()
        #expect(page.contains("1 dying, the oldest for 1.6666666666666668e+298 min"))
        #expect(page.contains("100 acquires, -1e+302 % from memory"))
    }

    @Test func `a listing follows the cursor and becomes one table`() async throws {
        let desk = Desk(.page(["ann", "ben"], cursor: "ben:p"), .page(["carol-with-a-long-name"]))
        try await desk.client.list { desk.show($0) }
        let lines = try #require(desk.shown.first).split(separator: "\n")
        #expect(desk.shown.count == 1 && lines.count == 4)
        #expect(lines[0].hasPrefix("USER                    PROJECT  SANDBOX"))
        #expect(lines[1].hasSuffix("2026-01-02T03:04:05Z  2026-01-02T03:05:05Z  2026-01-02T03:20:05Z"))
        #expect(lines[3].hasPrefix("carol-with-a-long-name  p        sb-carol-with-a-long-name"))
        #expect(desk.requests == ["GET /v1/sandboxes?limit=1000", "GET /v1/sandboxes?limit=1000&cursor=ben%3Ap"])
    }

    @Test func `a limited listing asks for no more, and says that there is more`() async throws {
        let desk = Desk(.page(["ann", "ben"], cursor: "x"))
        try await desk.client.list(user: "a|b", limit: 2) { desk.show($0) }
        #expect(desk.requests == ["GET /v1/sandboxes?limit=2&user_id=a%7Cb"])
        #expect(desk.shown.last == "There are more; raise --limit.")
        await #expect(throws: OperatorError.self) { try await desk.client.list(limit: 0) { _ in } }
    }

    @Test func `a cursor that does not move ends the listing`() async throws {
        let desk = Desk(.page(["ann"], cursor: "x"))
        try await desk.client.list { desk.show($0) }
        #expect(desk.requests.count == 2)
    }

    @Test func `no leases are said in words, and raw pages come one by one`() async throws {
        let empty = Desk(.page([]))
        try await empty.client.list { empty.show($0) }
        #expect(empty.shown == ["no leases"])
        let raw = Desk(.page(["ann"], cursor: "x"), .page(["ben"]))
        try await raw.client.list(asJSON: true) { raw.show($0) }
        #expect(raw.shown.count == 2 && raw.shown.allSatisfy { $0.hasPrefix("{") })
    }

    @Test func `an explanation is its sentences, then what happened`() async throws {
        let body = #"""
            {"summary":["Nobody holds a lease for this key.","The last."],"lease":null,
            "events":[{"at":"2026-01-02T03:04:05.678Z","event":"released: sb-1"}]}
            """#
        let desk = Desk(.reply(200, body))
        #expect(
            try await desk.client.explain(user: "a|b", project: "p+1") == """
                Nobody holds a lease for this key.
                The last.

                What happened:
                  2026-01-02T03:04:05Z  released: sb-1
                """
        )
        #expect(desk.requests == ["GET /v1/explain/a%7Cb/p%2B1"])
    }

    @Test func `a release says how far it came`() async throws {
        let desk = Desk(.reply(204), .reply(202, #"{"state":"releasing"}"#))
        #expect(try await desk.client.release(user: "ann", project: "p") == "released")
        #expect(try await desk.client.release(user: "ann", project: "p") == "releasing")
        #expect(desk.requests.first == "DELETE /v1/users/ann/projects/p/sandbox")
    }

    @Test func `creations are stopped and resumed`() async throws {
        let desk = Desk(.standing(inFlight: 0, draining: false))
        #expect(
            try await desk.client.stopCreates() == "creations are stopped; leases that exist (2) are served as before"
        )
        #expect(try await desk.client.resumeCreates() == "creations are allowed")
        #expect(desk.requests == ["POST /v1/admin/stop-creates", "POST /v1/admin/resume-creates"])
        let draining = Desk(.standing(inFlight: 0))
        #expect(try await draining.client.resumeCreates().hasSuffix("it starts nothing new"))
    }

    @Test func `a drain shows each change and ends when nothing is in flight`() async throws {
        let answers = [3, 3, 1, 0].map { Result<OperatorReply, OperatorError>.standing(inFlight: $0) }
        let desk = Desk(answers[0], answers[1], answers[2], answers[3])
        let end = try await desk.client.drain(within: .seconds(60), pause: {}) { desk.show($0) }
        #expect(end == "drained: nothing is in flight; leases (2) live on; end the process at will")
        #expect(desk.shown == ["draining: 3 operations in flight", "draining: 1 operation in flight"])
        #expect(desk.requests.count == 4)
    }

    @Test func `a drain that takes too long says what is left`() async throws {
        let desk = Desk(.standing(inFlight: 2))
        let error = await #expect(throws: OperatorError.self) {
            _ = try await desk.client.drain(within: .zero, pause: {}) { desk.show($0) }
        }
        #expect(error == .unfinished("still 2 operations in flight; the daemon goes on draining"))
        #expect(error?.exitCode == 1)
    }

    @Test func `a refusal is the problem's code and detail, without what steers a terminal`() async throws {
        let desk = Desk(.reply(404, #"{"code":"not_found","detail":"no \u001b[31m such","status":404}"#))
        let error = await #expect(throws: OperatorError.self) { _ = try await desk.client.status() }
        #expect(error.map { "\($0)" } == "not_found: no ?[31m such")
        #expect(error?.exitCode == 1)
    }

    @Test(arguments: [(502, "<html>"), (200, "[]"), (200, "")])
    func `an answer of something else is a refusal too`(status: Int, body: String) async throws {
        let desk = Desk(.reply(status, body))
        let error = await #expect(throws: OperatorError.self) { _ = try await desk.client.status() }
        #expect(error?.exitCode == 1)
    }

    @Test func `a daemon that is away is 69`() async throws {
        let desk = Desk(.failure(.unreachable("cannot reach it")))
        let error = await #expect(throws: OperatorError.self) { _ = try await desk.client.status() }
        #expect(error?.exitCode == 69)
    }
}
