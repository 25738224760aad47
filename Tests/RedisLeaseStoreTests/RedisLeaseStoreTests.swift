import RedisClient
import SandboxCore
import TestSupport
import Testing

@testable import RedisLeaseStore

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct RedisLeaseStoreTests {
    private let plain = "sandbox:alice:p1"

    @Test func `an id that an earlier manager left is unverified, and can be adopted`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            try await world.redis("SET", plain, "sb-a", "EX", "900")
            #expect(try await store.lookup(try key()) == .unverified(SandboxID("sb-a")))
            let epoch = try #require(try await store.adopt(record(try key(), Epoch(3), "a")))
            guard case .lease(let lease)? = try await store.lookup(try key()) else {
                Issue.record("not adopted")
                return
            }
            #expect(lease.epoch == epoch)
            #expect(try await world.redis("GET", plain).text == "sb-a")
        }
    }

    @Test(arguments: [
        "", "two words", "line\nbreak", "\u{7F}", "caf\u{E9}", String(repeating: "x", count: 257),
    ])
    func `S5 what cannot be an id is not taken for one`(id: String) async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            try await world.redis("SET", plain, id)
            #expect(try await store.lookup(try key()) == nil)
        }
    }

    @Test func `the plain key holds the sandbox for as long as it lives`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            let epoch = try await lease(store, try key(), "a")
            #expect(try await world.redis("GET", plain).text == "sb-a")
            let life = try #require(try await world.redis("PTTL", plain).integer)
            #expect((700_000...800_000).contains(life))
            _ = try await store.extend(try key(), epoch: epoch, remaining: .seconds(2000))
            #expect((1_900_000...2_000_000).contains(try #require(try await world.redis("PTTL", plain).integer)))
            _ = try await store.setPaused(try key(), epoch: epoch, paused: true, remaining: .seconds(90))
            #expect((1...90_000).contains(try #require(try await world.redis("PTTL", plain).integer)))
            _ = try await store.release(try key(), reason: .released)
            #expect(try await world.redis("EXISTS", plain).integer == 0)
        }
    }

    @Test func `O6 another sandbox's id in the plain key is left alone`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            for ending in ["end", "forget", "release", "restore"] {
                let epoch = try await lease(store, try key(), ending)
                try await world.redis("SET", plain, "somebody's")
                _ = try await store.extend(try key(), epoch: epoch, remaining: .seconds(900))
                switch ending {
                case "end": _ = try await store.end(try key(), epoch: epoch, idleFor: nil, reason: .idle)
                case "forget": _ = try await store.forget(try key(), epoch: epoch)
                case "release": _ = try await store.release(try key(), reason: .released)
                default:
                    let ticket = KillTicket(sandbox: SandboxID("sb-restore"), token: nil, key: try key(), reason: .idle)
                    try await store.restore(ticket, isDead: true)
                }
                #expect(try await world.redis("GET", plain).text == "somebody's", "\(ending)")
            }
        }
    }

    @Test func `an epoch from outside that no clock shows does not spoil the later ones`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            _ = try await store.restore(record(try key("wild"), Epoch(.max), "a"))
            let adopted = try #require(try await store.adopt(record(try key("mad"), Epoch(.max), "b")))
            let next = try await lease(store, try key(), "c")
            #expect(adopted < next && next.rawValue < 1 << 52)
        }
    }

    @Test func `L3 the creations of a replica that died are due when its heartbeat is gone`() async throws {
        var tuning = Tuning()
        tuning.heartbeatLife = .seconds(1)
        try await withWorld(tuning: tuning) { world in
            let dead = try await world.replica("dead")
            let other = try await world.replica("other")
            _ = try await dead.reserve(request(try key("held"), "a"))
            _ = try await dead.reserve(request(try key("fenced"), "b"))
            _ = try await other.release(try key("fenced"), reason: .released)
            _ = try await other.reserve(request(try key("own"), "c"))
            #expect(try await other.dueIntents(limit: 9, claim: .seconds(30)).isEmpty)
            // One's own heartbeat may be late; one lives all the same.
            try await world.pass(.milliseconds(1100))
            let due = try await other.dueIntents(limit: 9, claim: .seconds(30)).sorted { $0.key.user < $1.key.user }
            #expect(due.map(\.key.user) == ["fenced", "held"] && due.map(\.isHeld) == [false, true])
            #expect(try await other.dueIntents(limit: 9, claim: .seconds(30)).isEmpty, "claimed")
            for intent in due { try await other.resolveIntent(intent, found: []) }
            try await other.abandon(try key("own"), token: CreationToken("c"))
            try await other.beat()
            #expect(other.usage() == StoreUsage())
        }
    }

    @Test func `a replica that beats keeps its creations`() async throws {
        var tuning = Tuning()
        tuning.heartbeatLife = .seconds(1)
        try await withWorld(tuning: tuning) { world in
            let me = try await world.replica("me")
            let other = try await world.replica("other")
            _ = try await me.reserve(request(try key(), "a"))
            for _ in 0..<10 {
                try await me.beat()
                #expect(try await other.dueIntents(limit: 9, claim: .zero).isEmpty)
                try await world.pass(.milliseconds(150))
            }
        }
    }

    @Test func `a duty is one replica's until it lets it lapse`() async throws {
        try await withWorld { world in
            let (one, other) = (try await world.replica("one"), try await world.replica("other"))
            #expect(try await one.takeDuty(.reconciler, for: .milliseconds(300)))
            #expect(try await !other.takeDuty(.reconciler, for: .seconds(60)))
            #expect(try await one.takeDuty(.reconciler, for: .milliseconds(300)), "whoever has it keeps it")
            try await world.pass(.milliseconds(310))
            #expect(try await other.takeDuty(.reconciler, for: .seconds(60)))
            #expect(try await !one.takeDuty(.reconciler, for: .seconds(60)))
        }
    }

    @Test func `I6 nothing stays of what is over`() async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            try await store.beat()
            for round in 0..<30 {
                let (key, token) = (try key("u\(round)"), "t\(round)")
                guard case .reserved(let epoch) = try await store.reserve(request(key, token)) else { continue }
                let name = CreationToken(token)
                let intent = Intent(token: name, key: key, epoch: epoch, age: .zero)
                switch round % 10 {
                case 0: try await store.abandon(key, token: name)
                case 1:
                    try await store.detachIntent(key, token: name)
                    try await store.resolveIntent(intent, found: [])
                case 2:
                    try await store.detachIntent(key, token: name)
                    try await store.resolveIntent(intent, found: [SandboxID("x\(round)"), SandboxID("y\(round)")])
                case 3:
                    _ = try await store.release(key, reason: .released)
                    _ = try await store.commit(record(key, epoch, token))
                case 4: try await store.resolveIntent(intent, found: [])
                case 5:
                    _ = try await store.restore(record(key, Epoch(epoch.rawValue + 1), "r\(round)"))
                    _ = try await store.commit(record(key, epoch, token))
                    _ = try await store.release(key, reason: .released)
                case 6:
                    _ = try await store.commit(record(key, epoch, token))
                    _ = try await store.setPaused(key, epoch: epoch, paused: true, remaining: .seconds(9))
                    _ = try await store.forget(key, epoch: epoch)
                case 7:
                    _ = try await store.commit(record(key, epoch, token))
                    _ = try await store.end(key, epoch: epoch, idleFor: nil, reason: .idle)
                case 8:
                    _ = try await store.commit(record(key, epoch, token))
                    let ticket = KillTicket(sandbox: SandboxID("sb-\(token)"), token: name, key: key, reason: .idle)
                    try await store.restore(ticket, isDead: true)
                default:
                    _ = try await store.commit(record(key, epoch, token))
                    _ = try await store.release(key, reason: .released)
                }
                _ = try await store.dueLeases(limit: 9)
            }
            try await world.redis("SET", "sandbox-manager:test:replica:gone", "1", "PX", "1")
            try await world.pass(.milliseconds(5))
            // Whoever ends something has the kill for twenty seconds: confirmed by them, not by the worker.
            for round in 0..<30 {
                for name in ["sb-t\(round)", "sb-r\(round)", "x\(round)", "y\(round)"] {
                    let ticket = KillTicket(sandbox: SandboxID(name), token: nil, key: nil, reason: .idle)
                    _ = try await store.confirmKilled(ticket)
                }
            }
            let prefix = "sandbox-manager:test:"
            #expect(
                try await world.keys() == Set(["epoch", "incarnation", "replica:me"].map { prefix + $0 })
            )
            let reply = try #require(try await world.redis("KEYS", "\(prefix)reply:*").array?.first?.text)
            #expect((1...4000).contains(try #require(try await world.redis("PTTL", reply).integer)))
        }
    }

    @Test func `broken books are repaired: lost slots are taken again, stray ones become intents`() async throws {
        var tuning = Tuning()
        tuning.repairStep = 10
        try await withWorld(tuning: tuning) { world in
            let store = try await world.replica("me")
            let prefix = "sandbox-manager:test:"
            for number in 0..<600 { try await world.redis("HSET", "\(prefix)slots", "s\(number)", "stray\(number):p") }
            try await lease(store, try key("leased"), "a")
            _ = try await store.reserve(request(try key("reserved"), "b"))
            try await lease(store, try key("dying"), "c")
            _ = try await store.release(try key("dying"), reason: .released)
            try await lease(store, try key("evicted"), "d")
            try await world.redis("HDEL", "\(prefix)slots", "a", "b", "c")
            try await world.redis("DEL", "\(prefix)lease:evicted:p1")
            var sum = RepairedSlots(scanned: 0, unjustified: 0, missing: 0, cursor: nil)
            var steps = 0
            repeat {
                let step = try await store.repair(from: sum.cursor)
                #expect(step.scanned < 100, "one step holds everybody up")
                sum.scanned += step.scanned
                sum.unjustified += step.unjustified
                sum.missing += step.missing
                sum.cursor = step.cursor
                steps += 1
            } while sum.cursor != nil
            #expect(sum.scanned >= 601 && sum.unjustified == 601 && sum.missing == 3 && steps > 10)
            try await store.beat()
            let usage = store.usage()
            #expect(usage.slots == 604 && usage.intents == 602 && usage.active == 1 && usage.outbox == 1)
            let due = try await store.dueIntents(limit: 1000, claim: .seconds(30))
            #expect(due.count == 601 && due.allSatisfy { $0.age < .seconds(30) && !$0.isHeld })
            for intent in due { try await store.resolveIntent(intent, found: []) }
            try await store.beat()
            #expect(store.usage().slots == 3)
        }
    }

    @Test(arguments: ["slots", "slots x", "nothing 0", "slots 0 0", ""])
    func `a repair does not begin anywhere`(cursor: String) async throws {
        try await withWorld { world in
            let store = try await world.replica("me")
            let failure = await kind { () async throws(StoreError) in try await store.repair(from: cursor) }
            #expect(failure == .refused)
        }
    }

    @Test func `K6 a thousand leases are listed, used, and offered when due, as old as they are, by another replica`()
        async throws
    {
        try await withWorld { world in
            let me = try await world.replica("me")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        var lease = record(try key("u\(number)"), Epoch(1), "t\(number)")
                        lease.age = .seconds(890)
                        lease.idle = .seconds(number % 2 == 0 ? 600 : 0)
                        lease.sandbox.remainingLife = .seconds(100)
                        _ = try await me.adopt(lease)
                    }
                }
                try await group.waitForAll()
            }
            await me.close()
            let other = try await world.replica("other")
            var found: [LeaseRecord] = []
            var cursor: String?
            repeat {
                let page = try await other.list(user: nil, limit: 300, after: cursor)
                found += page.leases
                cursor = page.cursor
            } while cursor != nil
            #expect(found.count == 1000)
            #expect(found.map(\.key.canonical) == found.map(\.key.canonical).sorted())
            for lease in found {
                let passed = lease.age - .seconds(890)
                #expect(passed >= .zero && passed < .seconds(60))
                #expect(lease.sandbox.remainingLife == .seconds(100) - passed)
            }
            let used = found.filter { $0.idle > .seconds(500) }
            #expect(used.count == 500)
            try await other.touch(used.dropLast(20).map { LeaseUse(key: $0.key, epoch: $0.epoch, age: .zero) })
            let due = try await other.dueLeases(limit: 1000)
            #expect(Set(due.map(\.record.key)) == Set(used.suffix(20).map(\.key)))
            try await other.beat()
            #expect(other.usage().active == 1000 && other.usage().slots == 1000 && other.usage().largestUser == 1)
        }
    }
}
