import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1)))
struct FailoverRejoinTests {
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

    @Test func `I9: where outages are refused, a reservation whose reply was lost does not block its key`() async throws
    {
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

    @Test func `I1: whoever waits for another replica when the store is lost looks at the provider before they create`()
        async throws
    {
        let fleet = try await Fleet()
        let key = try key()
        let (a, b) = (fleet.a.manager, fleet.b.manager)
        fleet.provider.hold(.create)
        let first = Task { try await a.acquire(key) }
        let call = await fleet.provider.nextHeld(.create)
        fleet.provider.unhold(.create)
        let second = Task { try await b.acquire(key) }
        #expect(await fleet.time.sleeper(dueIn: .milliseconds(1) ... .milliseconds(20)))
        await fleet.cut(fleet.a)
        fleet.server.lose()
        call?.resume()
        let made = try await first.value
        fleet.time.advance(by: .milliseconds(20))
        #expect(try await second.value.sandbox.id == made.sandbox.id)
        #expect(fleet.provider.count(of: .create) == 1)
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

    @Test func `I10: a sandbox that its own replica puts back while another takes it over is not killed`() async throws
    {
        let fleet = try await Fleet()
        let made = try await fleet.a.manager.acquire(try key())
        fleet.server.lose()
        await fleet.b.store.beat()
        // B has asked whether the slot is taken, and has not adopted yet.
        #expect(await fleet.takeOver(fleet.b, during: .info) { await fleet.a.store.beat() })
        await fleet.b.manager.round(.outbox)
        #expect(fleet.provider.count(of: .kill) == 0)
        #expect(try await fleet.b.manager.acquire(try key()).sandbox.id == made.sandbox.id)
        #expect(fleet.server.books.usage().slots == 1)
    }

    @Test func `I1: a listing from before a loss does not make the books complete`() async throws {
        let fleet = try await Fleet()
        fleet.server.lose()
        await fleet.b.store.beat()
        // Lost once more, and told, while the provider's answer is under way.
        let isComplete = await fleet.takeOver(fleet.b, during: .list) {
            fleet.server.lose()
            await fleet.b.store.beat()
        }
        #expect(!isComplete)
        #expect(!fleet.b.store.isComplete && !fleet.server.isComplete)
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
