import TestSupport
import Testing

@testable import SandboxCore

@Suite struct LeaseTableTrustTests {
    private let policy = LeaseTable.Policy(freshWindow: .seconds(30), maxAge: .seconds(3600))

    private func record(
        _ epoch: Int64 = 1,
        _ key: LeaseKey,
        idle: Duration = .zero,
        life: Duration = .seconds(800),
        timeout: Duration = .seconds(500),
        isPaused: Bool = false
    ) -> LeaseRecord {
        LeaseRecord(
            key: key,
            epoch: Epoch(epoch),
            token: CreationToken("t\(epoch)"),
            sandbox: ProviderSandbox(id: SandboxID("sb\(epoch)"), template: "base", remainingLife: life),
            createdAt: WallTime(sinceEpoch: .zero),
            age: .zero,
            idle: idle,
            idleTimeout: timeout,
            isPaused: isPaused
        )
    }

    private func isFresh(_ freshness: LeaseTable.Freshness) -> Bool {
        if case .fresh = freshness { true } else { false }
    }

    @Test func `I1: what ended while somebody read it elsewhere is not put in, what is newer is`() throws {
        var table = LeaseTable(policy: policy)
        let key = try key()
        table.watch(key)
        table.watch(key)
        table.ended(key, upTo: Epoch(2))
        // An older word that comes late takes nothing back.
        table.ended(key, upTo: Epoch(1))
        table.unwatch(key)
        #expect(table.insert(Lease(record(2, key), now: .at(0))) == false)
        #expect(table[key] == nil)
        #expect(table.insert(Lease(record(3, key), now: .at(0))) == true)
        table.ended(key, upTo: Epoch(2))
        #expect(table[key]?.epoch == Epoch(3), "the end of an older one")
        table.ended(key, upTo: Epoch(4))
        #expect(table[key] == nil, "whoever missed a notice is told by the next one")
        table.unwatch(key)
        #expect(table.watched.isEmpty, "I6")
    }

    @Test func `I1: a copy read before the last loss of hearing is not vouched for`() throws {
        var table = LeaseTable(policy: policy)
        let key = try key()
        table.insert(Lease(record(1, key), now: .at(0)))
        table.trustChanged(to: .onceChecked)
        let round = table.trustRound
        table.trustChanged(to: .never)
        table.trustChanged(to: .onceChecked)
        table.vouch(for: record(1, key), round: round, now: .at(1))
        #expect(!isFresh(table.handOutIfFresh(key, now: .at(1))))
        table.vouch(for: record(1, key), round: table.trustRound, now: .at(1))
        #expect(isFresh(table.handOutIfFresh(key, now: .at(1))))
        table.trustChanged(to: .never)
        #expect(!isFresh(table.handOutIfFresh(key, now: .at(1))))
    }

    @Test func `vouching takes nothing back: neither a use nor an expiry that is known here, nor another lease`() throws
    {
        var table = LeaseTable(policy: policy)
        let key = try key()
        table.insert(Lease(record(2, key), now: .at(0)))
        table.recordUse(key, epoch: Epoch(2), now: .at(90))
        table.vouch(for: record(2, key, idle: .seconds(80), life: .seconds(60)), round: 1, now: .at(100))
        #expect(table[key]?.lastUsed == .at(90) && table[key]?.remoteExpiry == .at(800))
        table.vouch(for: record(2, key, idle: .seconds(2), life: .seconds(800)), round: 1, now: .at(100))
        #expect(table[key]?.lastUsed == .at(98) && table[key]?.remoteExpiry == .at(900))
        table.vouch(for: record(1, key, life: .seconds(3000)), round: 5, now: .at(100))
        #expect(table[key]?.vouchedIn == 1 && table[key]?.remoteExpiry == .at(900))
    }

    @Test func `K5: a pause elsewhere is learned with its expiry, sooner or later`() throws {
        var table = LeaseTable(policy: policy)
        let key = try key()
        table.insert(Lease(record(1, key), now: .at(0)))
        table.vouch(for: record(1, key, life: .seconds(9000), isPaused: true), round: 1, now: .at(0))
        #expect(table[key]?.isPaused == true && table[key]?.remoteExpiry == .at(9000))
        table.vouch(for: record(1, key, life: .seconds(100)), round: 1, now: .at(0))
        #expect(table[key]?.isPaused == false && table[key]?.remoteExpiry == .at(100))
    }

    @Test func `a trusted copy is held against the store near its end`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(Lease(record(1, try key()), now: .at(0)))
        let lease = try #require(table[try key()])
        #expect(!table.needsStore(lease, now: .at(770)) && table.needsStore(lease, now: .at(771)))
    }

    @Test func `I7: a lease with a short timeout is stale after half of it`() throws {
        var table = LeaseTable(policy: policy)
        let key = try key()
        table.insert(Lease(record(1, key, timeout: .seconds(20)), now: .at(0)))
        #expect(isFresh(table.handOutIfFresh(key, now: .at(10))))
        #expect(!isFresh(table.handOutIfFresh(key, now: .at(20.1))))
    }

    @Test func `I7: the shortest timeout among the used ones says how often to tell, until it was told`() throws {
        var table = LeaseTable(policy: policy)
        let (short, long) = (try key("a"), try key("b"))
        table.insert(Lease(record(1, short, timeout: .seconds(40)), now: .at(0)))
        table.insert(Lease(record(2, long, timeout: .seconds(500)), now: .at(0)))
        #expect(table.shortestUsedTimeout == nil)
        table.recordUse(short, epoch: Epoch(1), now: .at(1))
        table.recordUse(long, epoch: Epoch(2), now: .at(2))
        #expect(table.shortestUsedTimeout == .seconds(40))
        let uses = table.drainUses(now: .at(3))
        #expect(uses.count == 2 && table.shortestUsedTimeout == nil)
        table.undrain(uses)
        #expect(table.shortestUsedTimeout == .seconds(40))
        let again = table.drainUses(now: .at(4))
        #expect(again.map(\.age).sorted() == [.seconds(2), .seconds(3)])
    }
}
