import Testing

@testable import SandboxCore

/// The sentences alone, from values made by hand.
@Suite struct KeyExplanationTests {
    private func explanation(_ change: (inout KeyExplanation) throws -> Void = { _ in }) throws -> KeyExplanation {
        var explanation = KeyExplanation(
            at: WallTime(sinceEpoch: .seconds(1000)),
            isInMemory: true,
            slots: KeyExplanation.Slots(limits: SlotLimits(perUser: 2, total: 100)),
            storeMode: .memory,
            events: []
        )
        try change(&explanation)
        return explanation
    }

    private func lease(idle: Duration = .seconds(12), left: Duration = .seconds(600), paused: Bool = false) throws
        -> LeaseDescription
    {
        let at = WallTime(sinceEpoch: .seconds(1000))
        let record = LeaseRecord(
            key: try key(),
            epoch: Epoch(7),
            token: CreationToken("t"),
            sandbox: ProviderSandbox(id: SandboxID("sb-1"), template: "base", remainingLife: left),
            createdAt: at,
            age: .zero,
            idle: idle,
            idleTimeout: .seconds(500),
            isPaused: paused
        )
        return LeaseDescription(record: record, lastUsedAt: at - idle, expiresAt: at + left)
    }

    private func kill(
        attempts: Int = 0,
        failure: ErrorReason? = nil,
        token: CreationToken? = CreationToken("t"),
        nextIn: Duration = .zero
    ) throws -> KeyAccount.Kill {
        let sandbox = SandboxID("sb-9")
        var ticket = KillTicket(sandbox: sandbox, token: token, key: try key(), reason: .idle, attempts: attempts)
        ticket.lastFailure = failure
        return KeyAccount.Kill(ticket: ticket, age: .seconds(34), nextIn: nextIn)
    }

    @Test func `a key that nobody ever asked for`() throws {
        #expect(
            try explanation().summary == [
                "Nobody holds a lease for this key.",
                "The user holds 0 of 2 slots; all users together hold 0 of 100: no limit is in the way of the next "
                    + "acquire.",
                "This manager remembers nothing that happened to the key.",
            ]
        )
    }

    @Test func `a lease says its sandbox, its last use and its end`() throws {
        let running = try explanation { $0.lease = try lease() }
        #expect(
            running.summary.first
                == "The key holds sandbox sb-1, which runs; it was last used 12 s ago and ends in 10 min unless it is "
                + "used."
        )
        #expect(!running.summary.contains { $0.contains("next acquire") }, "a leased key is asking for nothing")
        let paused = try explanation { $0.lease = try lease(paused: true) }
        #expect(paused.summary.first?.contains("which is paused") == true)
        let over = try explanation { $0.lease = try lease(left: .seconds(-1)) }
        #expect(over.summary.first?.hasSuffix("is past its end: it is about to be replaced or reaped.") == true)
        let elsewhere = try explanation {
            $0.lease = try lease()
            $0.isInMemory = false
        }
        #expect(elsewhere.summary.contains { $0.hasPrefix("This manager has no copy of the lease") })
    }

    @Test func `a creation names its owner and what happens when nothing comes of it`() throws {
        let creating = try explanation {
            $0.reservation = ReservationRecord(
                owner: "replica-2",
                token: CreationToken("t"),
                epoch: Epoch(1),
                remaining: .seconds(180)
            )
            $0.lock = UserLockHold(operation: .acquire, age: .seconds(3), waiters: 4)
        }
        #expect(
            creating.summary.prefix(2) == [
                "A sandbox is being created for this key by replica-2: whoever asks waits for it. If nothing comes of "
                    + "it, it is looked up at the provider in 3 min.",
                "The key's lock has been held for 3 s by an operation of kind acquire; 4 others wait for it.",
            ]
        )
    }

    @Test func `a dying sandbox says why, how long, how often, and when next`() throws {
        let first = try explanation { $0.kills = [try kill()] }
        #expect(
            first.summary.contains(
                "Sandbox sb-9 has been dying for 34 s (idle); the next attempt is due. Its slot is free once its death "
                    + "is confirmed."
            )
        )
        let failing = try explanation {
            $0.kills = [try kill(attempts: 3, failure: .providerUnavailable, token: nil, nextIn: .seconds(8))]
        }
        #expect(
            failing.summary.contains(
                "Sandbox sb-9 has been dying for 34 s (idle): 3 attempts failed, the last with provider_unavailable; "
                    + "the next attempt is in 8 s."
            )
        )
    }

    @Test func `a creation of unknown outcome is told, one that holds the key is told by its reservation`() throws {
        let open = KeyAccount.OpenIntent(token: CreationToken("t"), owner: "", age: .seconds(40), isHeld: false)
        let held = KeyAccount.OpenIntent(token: CreationToken("u"), owner: "me", age: .seconds(1), isHeld: true)
        let sentences = try explanation { $0.intents = [open, held] }.summary
        #expect(sentences.filter { $0.contains("unknown outcome") }.count == 1)
        #expect(sentences.contains { $0.hasPrefix("A creation of unknown outcome has been open for 40 s") })
    }

    @Test(arguments: [
        (2, 0, 5, "the next acquire is refused with user_limit"),
        (2, 1, 5, "the next acquire waits until a dying sandbox is confirmed dead"),
        (1, 0, 100, "the next acquire is refused with total_limit"),
        (1, 1, 100, "the next acquire waits until a dying sandbox of the user is confirmed dead"),
        (1, 0, 99, "no limit is in the way"),
    ])
    func `the limits say what becomes of the next acquire`(user: Int, dying: Int, total: Int, words: String) throws {
        let limited = try explanation {
            $0.slots.user = user
            $0.slots.userReleasing = dying
            $0.slots.total = total
        }
        #expect(limited.summary.contains { $0.contains(words) }, "\(limited.summary)")
    }

    @Test func `a sick sandbox says how many verdicts replace it, a silent one when the control plane is asked`() throws
    {
        let sick = KeyExplanation.Probe(verdict: .unhealthy, age: .seconds(5), sickInARow: 2, silentInARow: 0)
        let silent = KeyExplanation.Probe(verdict: .timedOut, age: .seconds(5), sickInARow: 0, silentInARow: 1)
        #expect(
            try explanation { $0.probe = sick }.summary.contains(
                "The last probe, 5 s ago, said unhealthy: 2 sick verdicts in a row; 3 over 10 s replace the sandbox."
            )
        )
        #expect(
            try explanation { $0.probe = silent }.summary.contains(
                "The last probe, 5 s ago, said timed_out: 1 probe in a row without an answer; after 60 s of silence the "
                    + "control plane is asked."
            )
        )
    }

    @Test func `what stands in everybody's way comes first`() throws {
        let sentences = try explanation {
            $0.isDraining = true
            $0.areCreationsStopped = true
            $0.storeMode = .degraded
            $0.breaker = .open
            $0.nextCreation = .seconds(4)
            $0.providerPause = .seconds(2)
        }.summary
        #expect(
            sentences.prefix(4).map { $0.prefix(12) } == [
                "This manager", "An operator ", "The shared s", "The breaker ",
            ]
        )
        #expect(sentences.contains("The user creates too fast: the next creation is possible in 4 s."))
        #expect(sentences.contains("The provider asked for a pause: nothing is created for 2 s."))
    }

    @Test func `the last event comes last`() throws {
        let told = try explanation {
            $0.events = [
                KeyExplanation.Event(at: WallTime(sinceEpoch: .seconds(1)), text: "created: sb-1"),
                KeyExplanation.Event(at: WallTime(sinceEpoch: .seconds(970)), text: "released: sb-1"),
            ]
        }
        #expect(told.summary.last == "The last that happened, 30 s ago: released: sb-1.")
    }

    @Test(arguments: [
        (0.0, "0 s"), (0.25, "0.3 s"), (9.96, "10 s"), (12.4, "12 s"), (119, "119 s"), (120, "2 min"), (600, "10 min"),
        (7199, "120 min"), (7200, "2 h"), (-5, "0 s"),
    ])
    func `times are rounded for eyes`(seconds: Double, words: String) {
        #expect(Duration.seconds(seconds).inWords == words)
    }
}
