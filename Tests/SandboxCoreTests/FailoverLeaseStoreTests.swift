import TestSupport
import Testing

@testable import SandboxCore

/// A fleet of managers on one stand-in for a shared store and one provider.
struct Fleet {
    struct Replica {
        let manager: SandboxManager
        let store: FailoverLeaseStore
        let connection: StandInSharedStore
    }

    let time = ManualTime()
    let spawner = TestSpawner()
    let provider: ScriptedProvider
    let server: StandInServer
    let replicas: [Replica]

    init(
        _ count: Int = 2,
        policy: FailoverLeaseStore.OutagePolicy = .degrade(replicas: 1),
        attached: Bool = true,
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) async throws {
        let (time, spawner) = (time, spawner)
        provider = ScriptedProvider(
            time: time,
            capabilities: ProviderCapabilities(canPause: true, outlivesProcess: true)
        )
        server = StandInServer(time: time)
        var replicas: [Replica] = []
        for index in 0..<count {
            let runtime = Runtime(time: time, random: SeededRandom(seed: UInt64(index + 1)), spawner: spawner)
            let connection = server.connect()
            let store = FailoverLeaseStore(shared: connection, policy: policy, runtime: runtime)
            var configuration = ManagerConfiguration()
            configuration.owner = "replica-\(index)"
            configure(&configuration)
            let manager = SandboxManager(
                configuration: configuration,
                provider: provider,
                store: store,
                runtime: runtime
            )
            replicas.append(Replica(manager: manager, store: store, connection: connection))
        }
        self.replicas = replicas
        guard attached else { return }
        for replica in replicas {
            await replica.store.beat()
            replica.connection.say(.listening)
            try await replica.store.markComplete()
        }
    }

    var a: Replica { replicas[0] }
    var b: Replica { replicas[1] }

    /// The store goes away for a replica, or comes back; it has noticed.
    func cut(_ replica: Replica, _ fault: StandInSharedStore.Fault? = .unreachable) async {
        replica.connection.fail(fault)
        await replica.store.beat()
    }

    /// Acquires through the first replica; `event` happens while the provider creates.
    func acquire(_ key: LeaseKey, duringCreate event: () -> Void) async -> Result<Grant, any Error> {
        provider.hold(.create)
        let manager = a.manager
        let acquiring = Task { try await manager.acquire(key) }
        let call = await provider.nextHeld(.create)
        provider.unhold(.create)
        event()
        call?.resume()
        return await acquiring.result
    }

    func mend(_ replica: Replica) async {
        replica.connection.fail(nil)
        await replica.store.beat()
    }
}

@Suite(.timeLimit(.minutes(1)))
struct FailoverLeaseStoreTests {
    // MARK: One truth

    @Test func `L4: a key leased by one replica is found by the other`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        let second = try await fleet.b.manager.acquire(try key())
        #expect(second.sandbox.id == first.sandbox.id && second.source == .reconnected)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `I1: what one replica released is not handed out fresh by another`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) != nil)
        #expect(try await fleet.a.manager.release(try key()) == .released)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id != first.sandbox.id)
    }

    @Test func `I1: without the word of others a copy is checked each time, and served if it is still leased`()
        async throws
    {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        let again = try await fleet.b.manager.acquire(try key())
        #expect(again.sandbox.id == first.sandbox.id && again.source == .memory)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil, "checked each time")
        fleet.b.connection.say(.listening)
        _ = try await fleet.b.manager.acquire(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) != nil, "checked once")
    }

    @Test func `I1: a copy whose end was missed is dropped when it is checked`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        // Ended without a word to anybody.
        _ = fleet.server.books.release(try key(), reason: .released)
        fleet.b.connection.say(.listening)
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id != first.sandbox.id)
    }

    @Test func `K5: a sandbox paused through one replica is not handed out as fresh by another`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        _ = try await fleet.a.manager.pause(try key())
        #expect(fleet.b.manager.acquireIfFresh(try key()) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).source == .reconnected)
    }

    @Test func `I7: a lease whose life one replica extended is not ended by another's older copy`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        for _ in 0..<4 {
            fleet.time.advance(by: .seconds(250))
            _ = try await fleet.a.manager.acquire(try key())
            await fleet.a.manager.round(.extender)
        }
        // B's copy believes the sandbox's life is over.
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `I7: a key used only through one replica is not reaped by another`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        let first = try await fleet.a.manager.acquire(try key())
        for _ in 0..<12 {
            fleet.time.advance(by: .seconds(10))
            #expect(fleet.a.manager.acquireIfFresh(try key()) != nil, "nothing else tells the store")
            try await fleet.a.manager.flushUses()
            await fleet.b.manager.round(.reaper)
        }
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    // MARK: Away

    @Test func `I10: leases in memory are served while the store is away`() async throws {
        let fleet = try await Fleet(1)
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(fleet.a.store.mode == .degraded)
        #expect(fleet.a.manager.acquireIfFresh(try key())?.sandbox.id == first.sandbox.id)
        fleet.time.advance(by: .seconds(60))
        #expect(try await fleet.a.manager.acquire(try key()).source == .verified)
    }

    @Test func `I10: degraded, creates go on with a replica's share of the limits`() async throws {
        let fleet = try await Fleet(1, policy: .degrade(replicas: 2)) { $0.limits = SlotLimits(perUser: 9, total: 4) }
        await fleet.cut(fleet.a)
        for project in ["p1", "p2"] { _ = try await fleet.a.manager.acquire(try key("u", project)) }
        await #expect(throws: ManagerError.self) { try await fleet.a.manager.acquire(try key("u", "p3")) }
        #expect(fleet.provider.count(of: .create) == 2)
    }

    @Test func `I1: degraded, a key is looked up at the provider before anything is created for it`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.b)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `where outages are refused, creates fail and leases in memory are served`() async throws {
        let fleet = try await Fleet(1, policy: .refuse)
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(fleet.a.manager.acquireIfFresh(try key()) != nil)
        fleet.time.advance(by: .seconds(60))
        #expect(try await fleet.a.manager.acquire(try key()).source == .verified)
        await #expect(
            throws: ManagerError.storeUnavailable("the store does not answer, and work without it is refused")
        ) {
            try await fleet.a.manager.acquire(try key("bob"))
        }
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `T2: after the first failure nobody asks the store again until it is back`() async throws {
        let fleet = try await Fleet(1)
        fleet.a.connection.fail(.unreachable)
        _ = try await fleet.a.manager.acquire(try key())
        let calls = fleet.a.connection.calls
        for project in ["p2", "p3"] { _ = try await fleet.a.manager.acquire(try key("bob", project)) }
        #expect(fleet.a.connection.calls == calls)
    }

    @Test func `T10: a store that is away at the start is used when it comes`() async throws {
        let fleet = try await Fleet(1, attached: false)
        await fleet.cut(fleet.a)
        #expect(fleet.a.store.mode == .degraded)
        let alone = try await fleet.a.manager.acquire(try key())
        await fleet.mend(fleet.a)
        #expect(fleet.a.store.mode == .redis)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else {
            Issue.record("the lease did not reach the store")
            return
        }
        #expect(record.sandbox.id == alone.sandbox.id && record.epoch == alone.epoch)
    }

    @Test func `I9: an acquire waits at most three seconds for a store that nobody has reached yet`() async throws {
        let fleet = try await Fleet(1, attached: false)
        let manager = fleet.a.manager
        let key = try key()
        let acquiring = Task { try await manager.acquire(key) }
        #expect(await fleet.time.sleepers(atLeast: 1))
        fleet.time.advance(by: .seconds(3))
        _ = try await acquiring.value
        #expect(fleet.a.store.mode == .degraded)
    }

    @Test func `I7: alone, only what was made alone is reaped: the rest may be in use elsewhere`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        let shared = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        await fleet.cut(fleet.a)
        let alone = try await fleet.a.manager.acquire(try key("bob"))
        for _ in 0..<5 {
            fleet.time.advance(by: .seconds(10))
            _ = try await fleet.b.manager.acquire(try key())
        }
        await fleet.a.manager.round(.reaper)
        #expect(await fleet.spawner.idle())
        #expect(try await fleet.provider.info(alone.sandbox.id, timeout: .seconds(1)) == nil)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == shared.sandbox.id)
        #expect(try await fleet.provider.info(shared.sandbox.id, timeout: .seconds(1)) != nil)
    }

    @Test func `I7: alone, a sandbox past its known end is asked about before it is given up`() async throws {
        let fleet = try await Fleet()
        let shared = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        await fleet.cut(fleet.a)
        for _ in 0..<4 {
            fleet.time.advance(by: .seconds(250))
            _ = try await fleet.b.manager.acquire(try key())
            await fleet.b.manager.round(.extender)
        }
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == shared.sandbox.id)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    @Test func `I6: copies of leases that ended while nobody told are not kept`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        _ = try await fleet.b.manager.acquire(try key())
        fleet.b.connection.say(.deaf)
        _ = fleet.server.books.release(try key(), reason: .released)
        fleet.b.connection.say(.listening)
        #expect(await fleet.spawner.idle())
        #expect(fleet.b.manager.leasesInMemory().isEmpty)
    }

    // MARK: Back

    @Test func `I10: what was created alone is in the store afterwards, and the slots are counted once`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key("alice"))
        await fleet.cut(fleet.a)
        let alone = try await fleet.a.manager.acquire(try key("bob"))
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().slots == 2)
        #expect(try await fleet.b.manager.acquire(try key("bob")).sandbox.id == alone.sandbox.id)
        #expect(try await fleet.a.manager.acquire(try key("bob")).sandbox.id == alone.sandbox.id)
        #expect(fleet.provider.count(of: .create) == 2)
    }

    @Test func `I1: of two sandboxes made for one key on both sides the newer one stays and the other dies`()
        async throws
    {
        let fleet = try await Fleet()
        await fleet.cut(fleet.a)
        // A does not see what B makes: the listing is late.
        let made = try await fleet.b.manager.acquire(try key())
        fleet.provider.hideFromLists(true)
        fleet.time.advance(by: .seconds(1))
        let alone = try await fleet.a.manager.acquire(try key())
        #expect(alone.sandbox.id != made.sandbox.id)
        fleet.provider.hideFromLists(false)
        await fleet.mend(fleet.a)
        await fleet.a.manager.round(.outbox)
        #expect(try await fleet.provider.info(made.sandbox.id, timeout: .seconds(1)) == nil)
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == alone.sandbox.id)
        #expect(fleet.server.books.usage().slots == 1)
    }

    @Test func `O3: what was released alone is dead in the store afterwards`() async throws {
        let fleet = try await Fleet()
        _ = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        #expect(try await fleet.a.manager.release(try key()) == .released)
        #expect(fleet.server.books.usage().slots == 1)
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `I3: a kill that failed while alone goes on afterwards`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        await fleet.cut(fleet.a)
        fleet.provider.script(.kill, .fail(ProviderError(.kill, .reset, "reset", effect: .unknown)))
        _ = try await fleet.a.manager.release(try key())
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().outbox == 1)
        fleet.time.advance(by: .seconds(120))
        await fleet.b.manager.round(.outbox)
        #expect(try await fleet.provider.info(first.sandbox.id, timeout: .seconds(1)) == nil)
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `I3: a commit whose reply was lost does not cost the sandbox`() async throws {
        let fleet = try await Fleet(1)
        // The reservation gets through; then the store goes silent.
        let grant = try await fleet.acquire(try key()) { fleet.a.connection.fail(.repliesLost) }.get()
        #expect(grant.source == .created && fleet.a.store.mode == .degraded)
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().active == 1)
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == grant.sandbox.id)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `I3: where outages are refused, a sandbox that could not be committed is leased when the store is back`()
        async throws
    {
        let fleet = try await Fleet(1, policy: .refuse)
        let refused = await fleet.acquire(try key()) { fleet.a.connection.fail(.unreachable) }
        #expect(throws: ManagerError.self) { try refused.get() }
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage().active == 1)
        #expect(try await fleet.a.manager.acquire(try key()).source == .reconnected)
        #expect(fleet.provider.count(of: .create) == 1)
    }

    @Test func `I9: where outages are refused, a reservation whose reply was lost does not block its key`() async throws {
        let fleet = try await Fleet(policy: .refuse)
        fleet.a.connection.fail(.repliesLost)
        let reserving = ReservationRequest(
            key: try key(),
            owner: "replica-0",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 2, total: 9),
            intentDeadline: .seconds(195)
        )
        await #expect(throws: StoreError.self) { try await fleet.a.store.reserve(reserving) }
        #expect(fleet.server.books.usage().reservations == 1)
        await fleet.mend(fleet.a)
        #expect(fleet.server.books.usage() == StoreUsage())
        #expect(try await fleet.b.manager.acquire(try key()).source == .created)
    }

    @Test func `I7: nobody is reaped right after an outage, before others could tell of uses`() async throws {
        let fleet = try await Fleet { $0.idleTimeout = .seconds(40) }
        _ = try await fleet.a.manager.acquire(try key())
        for replica in fleet.replicas { await fleet.cut(replica) }
        for _ in 0..<6 {
            fleet.time.advance(by: .seconds(10))
            _ = try await fleet.a.manager.acquire(try key())
        }
        await fleet.mend(fleet.b)
        await fleet.b.manager.round(.reaper)
        await fleet.mend(fleet.a)
        fleet.time.advance(by: .seconds(11))
        await fleet.b.manager.round(.reaper)
        #expect(fleet.provider.count(of: .kill) == 0)
    }

    // MARK: Lost

    @Test func `I10: when the store lost everything, leases come back under their own epochs`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        fleet.server.lose()
        await fleet.a.store.beat()
        #expect(!fleet.a.store.isComplete)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else {
            Issue.record("the lease is lost")
            return
        }
        #expect(record.epoch == first.epoch && record.sandbox.id == first.sandbox.id)
        #expect(fleet.server.books.usage().slots == 1)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
    }

    @Test func `I1: after a loss a key is looked up at the provider until everything was taken over`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        fleet.server.lose()
        // A has not noticed yet and could not put its lease back.
        await fleet.b.store.beat()
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == first.sandbox.id)
        #expect(await fleet.b.manager.takeOverEverything())
        #expect(fleet.b.store.isComplete && fleet.server.isComplete)
    }

    @Test func `I1: a creation under way when the store was lost is committed`() async throws {
        let fleet = try await Fleet(1)
        let grant = try await fleet.acquire(try key()) { fleet.server.lose() }.get()
        #expect(grant.source == .created)
        #expect(fleet.server.books.usage().active == 1 && fleet.server.books.usage().slots == 1)
        #expect(fleet.server.books.usage().intents == 0 && fleet.server.books.usage().outbox == 0)
    }

    @Test func `I3: what was dying when the store was lost goes on dying`() async throws {
        let fleet = try await Fleet(1)
        let first = try await fleet.a.manager.acquire(try key())
        fleet.provider.script(.kill, .fail(ProviderError(.kill, .reset, "reset", effect: .unknown)))
        _ = try await fleet.a.manager.release(try key())
        fleet.server.lose()
        await fleet.a.store.beat()
        #expect(fleet.server.books.usage().outbox == 1)
        fleet.time.advance(by: .seconds(120))
        await fleet.a.manager.round(.outbox)
        #expect(try await fleet.provider.info(first.sandbox.id, timeout: .seconds(1)) == nil)
    }

    @Test func `I10: a store that is lost again while it is told is told again`() async throws {
        let fleet = try await Fleet(1)
        let first = try await fleet.a.manager.acquire(try key())
        fleet.server.lose(afterCalls: 1)
        fleet.server.lose()
        #expect(try await fleet.a.manager.acquire(try key("bob")).source == .created)
        #expect(fleet.a.store.mode == .redis)
        guard case .lease(let record)? = fleet.server.books.lookup(try key()) else {
            Issue.record("the lease is lost")
            return
        }
        #expect(record.epoch == first.epoch)
    }

    @Test func `I4: a lease of an older state of the store ends on the provider's word`() async throws {
        let fleet = try await Fleet()
        let first = try await fleet.a.manager.acquire(try key())
        guard case .lease(let old)? = fleet.server.books.lookup(try key()) else { throw StoreError("no lease") }
        _ = try await fleet.a.manager.release(try key())
        // The store is put back to before the release.
        fleet.server.lose()
        _ = fleet.server.books.restore(old)
        #expect(try await fleet.provider.info(first.sandbox.id, timeout: .seconds(1)) == nil)
        await fleet.b.store.beat()
        fleet.time.advance(by: .seconds(2))
        #expect(await fleet.b.manager.takeOverEverything())
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `I4: a lease that was made after the provider was listed is not taken for absent`() async throws {
        let fleet = try await Fleet()
        fleet.server.lose()
        await fleet.b.store.beat()
        fleet.provider.hold(.list)
        let listing = Task { await fleet.b.manager.takeOverEverything() }
        let call = await fleet.provider.nextHeld(.list)
        fleet.provider.unhold(.list)
        fleet.time.advance(by: .seconds(1))
        await fleet.a.store.beat()
        let made = try await fleet.a.manager.acquire(try key())
        fleet.provider.hideFromLists(true)
        call?.resume()
        #expect(await listing.value)
        fleet.provider.hideFromLists(false)
        #expect(fleet.provider.count(of: .kill) == 0)
        #expect(try await fleet.a.manager.acquire(try key()).sandbox.id == made.sandbox.id)
    }

    @Test func `I1: a sandbox that died after the provider was listed is not leased again`() async throws {
        let fleet = try await Fleet()
        let made = try await fleet.a.manager.acquire(try key())
        await fleet.b.store.beat()
        fleet.provider.keepInLists(made.sandbox.id)
        _ = try await fleet.a.manager.release(try key())
        #expect(await fleet.b.manager.takeOverEverything())
        #expect(fleet.server.books.usage() == StoreUsage())
    }

    @Test func `I2: alone, nobody counts what other replicas made`() async throws {
        let fleet = try await Fleet { $0.limits = SlotLimits(perUser: 9, total: 2) }
        for project in ["p1", "p2"] { _ = try await fleet.a.manager.acquire(try key("u", project)) }
        await fleet.cut(fleet.b)
        #expect(await !fleet.b.manager.takeOverEverything())
        #expect(fleet.b.store.usage().slots == 0)
    }

    @Test func `O4: a release through one replica ends what another made alone`() async throws {
        let fleet = try await Fleet()
        await fleet.cut(fleet.a)
        let alone = try await fleet.a.manager.acquire(try key())
        #expect(try await fleet.b.manager.release(try key()) == .released)
        #expect(try await fleet.provider.info(alone.sandbox.id, timeout: .seconds(1)) == nil)
    }

    // MARK: Dead owners

    @Test func `L3: a dead replica's creation becomes the lease of whoever takes it over`() async throws {
        let fleet = try await Fleet()
        let request = ReservationRequest(
            key: try key(),
            owner: "dead",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 2, total: 9),
            intentDeadline: .seconds(10)
        )
        guard case .reserved(let epoch) = fleet.server.books.reserve(request) else { throw StoreError("not reserved") }
        let order = CreateRequest(
            template: "base",
            metadata: [:],
            environment: [:],
            life: .seconds(800),
            labels: SandboxLabels(key: try key(), token: CreationToken("t"), environment: "default", epoch: epoch)
        )
        let made = fleet.provider.plant(order)
        fleet.time.advance(by: .seconds(11))
        await fleet.b.manager.round(.outbox)
        let grant = try await fleet.b.manager.acquire(try key())
        #expect(grant.sandbox.id == made && grant.epoch == epoch)
        #expect(fleet.provider.count(of: .create) == 0)
    }

    @Test func `L3: where a dead replica made nothing, its key is free and its slot waits for the proof`() async throws
    {
        let fleet = try await Fleet()
        let request = ReservationRequest(
            key: try key(),
            owner: "dead",
            token: CreationToken("t"),
            limits: SlotLimits(perUser: 2, total: 9),
            intentDeadline: .seconds(10)
        )
        _ = fleet.server.books.reserve(request)
        fleet.time.advance(by: .seconds(11))
        await fleet.b.manager.round(.outbox)
        #expect(try await fleet.b.manager.acquire(try key()).source == .created)
        #expect(fleet.server.books.usage().slots == 2)
        fleet.time.advance(by: .seconds(120))
        await fleet.b.manager.round(.outbox)
        #expect(fleet.server.books.usage().slots == 1)
    }
}
