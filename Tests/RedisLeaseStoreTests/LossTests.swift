import RedisClient
import SandboxCore
import Synchronization
import TestSupport
import Testing

@testable import RedisLeaseStore

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct LossTests {
    /// The kinds of failure of every operation.
    private func failures(of store: RedisLeaseStore) async throws -> [StoreError.Kind?] {
        let key = try key()
        let incarnation = store.knowledge.withLock { $0.incarnation }
        let lease = record(key, Epoch(1), "a")
        let token = CreationToken("a")
        let ticket = KillTicket(sandbox: SandboxID("x"), token: nil, key: nil, reason: .orphan)
        let intent = Intent(token: token, key: key, epoch: Epoch(1), age: .zero)
        let restored = RestoredIntent(request: request(key, "a"), epoch: Epoch(1), isHeld: true)
        return [
            await kind { () async throws(StoreError) in try await store.lookup(key) },
            await kind { () async throws(StoreError) in try await store.reserve(request(key, "a")) },
            await kind { () async throws(StoreError) in try await store.commit(lease) },
            await kind { () async throws(StoreError) in try await store.adopt(lease) },
            await kind { () async throws(StoreError) in try await store.abandon(key, token: token) },
            await kind { () async throws(StoreError) in try await store.detachIntent(key, token: token) },
            await kind { () async throws(StoreError) in try await store.release(key, reason: .released) },
            await kind { () async throws(StoreError) in
                try await store.end(key, epoch: Epoch(1), idleFor: nil, reason: .idle)
            },
            await kind { () async throws(StoreError) in try await store.forget(key, epoch: Epoch(1)) },
            await kind { () async throws(StoreError) in
                try await store.extend(key, epoch: Epoch(1), remaining: .zero)
            },
            await kind { () async throws(StoreError) in
                try await store.setPaused(key, epoch: Epoch(1), paused: true, remaining: .zero)
            },
            await kind { () async throws(StoreError) in
                try await store.touch([LeaseUse(key: key, epoch: Epoch(1), age: .zero)])
            },
            await kind { () async throws(StoreError) in try await store.dueLeases(limit: 1) },
            await kind { () async throws(StoreError) in try await store.dueKills(limit: 1, claim: .zero) },
            await kind { () async throws(StoreError) in try await store.enqueueKill(ticket) },
            await kind { () async throws(StoreError) in try await store.confirmKilled(ticket) },
            await kind { () async throws(StoreError) in try await store.deferKill(ticket, by: .zero) },
            await kind { () async throws(StoreError) in try await store.dueIntents(limit: 1, claim: .zero) },
            await kind { () async throws(StoreError) in try await store.isTaken(token) },
            await kind { () async throws(StoreError) in try await store.resolveIntent(intent, found: []) },
            await kind { () async throws(StoreError) in try await store.list(user: nil, limit: 1, after: nil) },
            await kind { () async throws(StoreError) in try await store.beat() },
            await kind { () async throws(StoreError) in try await store.restore(lease) },
            await kind { () async throws(StoreError) in try await store.restore(restored) },
            await kind { () async throws(StoreError) in try await store.restore(ticket, isDead: true) },
            await kind { () async throws(StoreError) in try await store.repair(from: nil) },
            await kind { () async throws(StoreError) in try await store.markComplete(incarnation) },
        ]
    }

    @Test func `I10 after FLUSHALL every call says lost and does nothing, until the replica attaches anew`()
        async throws
    {
        try await withWorld { world in
            let store = try await world.replica("me")
            let first = try await store.attach()
            try await store.markComplete(first.incarnation)
            #expect(try await store.attach().isComplete)
            try await world.redis("FLUSHALL")
            #expect(try await failures(of: store).allSatisfy { $0 == .lost })
            #expect(try await world.keys().isEmpty)
            let second = try await store.attach()
            #expect(second.incarnation != first.incarnation && !second.isComplete)
            // What was found out about the store before the loss says nothing about the present one.
            await #expect(throws: StoreError.self) { try await store.markComplete(first.incarnation) }
            #expect(try await !store.attach().isComplete)
            #expect(try await failures(of: store).allSatisfy { $0 == nil })
        }
    }

    @Test func `nothing is done for a replica that has not attached itself`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me", attached: false)
            #expect(try await failures(of: store).allSatisfy { $0 == .lost })
        }
    }

    @Test func `I10 a server that restarts with an old snapshot is another one before any waiting call reaches it`()
        async throws
    {
        try await withWorld { world in
            let store = try await world.replica("me") { configuration, _ in configuration.commandTimeout = .seconds(20)
            }
            let old = try key("old")
            let first = try await store.attach()
            try await store.markComplete(first.incarnation)
            try await lease(store, old, "old")
            try await world.redis("SAVE")
            try await lease(store, try key("new"), "new")
            world.server.kill()
            try await world.server.start()
            // Whatever comes first: a refusal while it was away, or the answer of the one that came back.
            var answers: [StoreError.Kind?] = []
            let arrived = await eventually {
                answers.append(
                    await kind { () async throws(StoreError) in try await store.lookup(old) }
                )
                return answers.last == .lost
            }
            #expect(arrived && answers.dropLast().allSatisfy { $0 == .unreachable }, "\(answers)")
            let second = try await store.attach()
            #expect(second.incarnation != first.incarnation && !second.isComplete)
            // The snapshot's books are still good for what they hold.
            #expect(try await store.lookup(try key("old")) != nil)
            #expect(try await store.lookup(try key("new")) == nil)
        }
    }

    @Test func `a replica that attaches later believes the same, and a loss is everybody's`() async throws {
        try await withWorld { world in
            let me = try await world.replica("me")
            let other = try await world.replica("other")
            #expect(try await me.attach() == other.attach())
            try await world.redis("DEL", "sandbox-manager:test:incarnation")
            let named = try await other.attach()
            #expect(await kind { () async throws(StoreError) in try await me.beat() } == .lost)
            #expect(try await me.attach() == named)
        }
    }

    @Test func `who may not ask for the server's identity goes without that comparison`() async throws {
        try await withWorld { world in
            try await world.redis("ACL", "SETUSER", "limited", "on", ">hush", "~*", "&*", "+@all", "-info")
            let store = try await world.replica("me") { configuration, _ in
                configuration.endpoint.user = "limited"
                configuration.endpoint.password = RedisPassword("hush")
            }
            try await lease(store, try key(), "a")
            let admin = try await world.replica("admin")
            #expect(try await admin.attach() == store.attach())
        }
    }

    @Test func `replies lost with their connection lose nothing and do nothing twice`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            let endings = RecordedOrder()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<40 {
                    let key = try key("u\(worker)")
                    group.addTask {
                        var round = 0
                        while endings.all.isEmpty {
                            round += 1
                            let epoch = try await lease(store, key, "t\(worker)-\(round)")
                            #expect(try await store.extend(key, epoch: epoch, remaining: .seconds(900)))
                            let ended = try await store.end(key, epoch: epoch, idleFor: nil, reason: .idle)
                            let ticket = try #require(ended)
                            try await store.deferKill(ticket, by: .zero)
                            #expect(try await store.confirmKilled(ticket))
                        }
                        return round
                    }
                }
                for _ in 0..<5 {
                    // Longer than a call with its repetition takes.
                    try await world.pass(.milliseconds(400))
                    try await world.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                }
                endings.append(1)
                var rounds = 0
                for try await count in group { rounds += count }
                #expect(rounds > 40)
            }
            try await store.beat()
            #expect(store.usage() == StoreUsage())
        }
    }

    @Test func `a server that forgot the scripts is taught them`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            let epoch = try await lease(store, try key(), "a")
            try await world.redis("SCRIPT", "FLUSH")
            #expect(try await store.extend(try key(), epoch: epoch, remaining: .seconds(900)))
        }
    }

    @Test func `a server that is away is unreachable, a closed store too, and a broken key is a refusal`() async throws
    {
        try await withWorld { world in
            let store = try await world.replica("me")
            let broken = try key()
            try await world.redis("SET", "sandbox-manager:test:lease:alice:p1", "no hash")
            #expect(
                await kind { () async throws(StoreError) in try await store.lookup(broken) }
                    == .refused
            )
            world.server.kill()
            #expect(await kind { () async throws(StoreError) in try await store.beat() } == .unreachable)
            await store.close()
            #expect(await kind { () async throws(StoreError) in try await store.beat() } == .unreachable)
        }
    }

    @Test(arguments: ["", "a b", "a\nb", "{a}", String(repeating: "a", count: 129)])
    func `an environment that would not make good names is refused`(environment: String) throws {
        let configuration = RedisConfiguration(endpoint: RedisEndpoint(target: .socket(path: "/nowhere")))
        #expect(throws: StoreError.self) {
            try RedisLeaseStore(client: configuration, environment: environment, owner: "me")
        }
    }
}
