import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite struct StoreLedgerTests {
    private let wall = WallTime(sinceEpoch: .seconds(1_800_000_000))
    private let claim: Duration = .seconds(20)

    private func request(_ key: LeaseKey, _ token: String, perUser: Int = 2, total: Int = 5) -> ReservationRequest {
        ReservationRequest(
            key: key,
            owner: "me",
            token: CreationToken(token),
            limits: SlotLimits(perUser: perUser, total: total),
            intentDeadline: .seconds(195)
        )
    }

    private func record(_ key: LeaseKey, _ epoch: Epoch, _ token: String, life: Duration = .seconds(800))
        -> LeaseRecord
    {
        LeaseRecord(
            key: key,
            epoch: epoch,
            token: CreationToken(token),
            sandbox: ProviderSandbox(id: SandboxID("sb-\(token)"), template: "base", remainingLife: life),
            createdAt: wall,
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
    }

    /// Reserves and commits.
    private func lease(_ ledger: inout StoreLedger, _ key: LeaseKey, _ token: String, now: MonotonicInstant) -> Epoch? {
        guard case .reserved(let epoch) = ledger.reserve(request(key, token), now: now, wallNow: wall) else {
            return nil
        }
        return ledger.commit(record(key, epoch, token), now: now)
    }

    @Test func `releasing during a creation keeps the slot, and counts it as releasing`() throws {
        var ledger = StoreLedger()
        _ = ledger.reserve(request(try key(), "t1", perUser: 1), now: .at(0), wallNow: wall)
        #expect(
            ledger.release(try key(), reason: .released, now: .at(1), claim: claim) == .fenced(CreationToken("t1"))
        )
        let again = ledger.reserve(request(try key(), "t2", perUser: 1), now: .at(2), wallNow: wall)
        #expect(again == .limited(LimitDenial(scope: .user, limit: 1, inUse: 1, releasing: 1)))
        #expect(ledger.commit(record(try key(), Epoch(1), "t1"), now: .at(3)) == nil)
        let still = ledger.reserve(request(try key(), "t2", perUser: 1), now: .at(4), wallNow: wall)
        #expect(still == .limited(LimitDenial(scope: .user, limit: 1, inUse: 1, releasing: 1)))
        let kills = ledger.dueKills(limit: 9, claim: claim, now: .at(40))
        #expect(kills.map(\.sandbox.rawValue) == ["sb-t1"])
        #expect(ledger.confirmKilled(kills[0]) == true)
        #expect(ledger.isEmpty)
    }

    @Test func `releasing a key twice during its creation does not say that nothing lives`() throws {
        var ledger = StoreLedger()
        _ = ledger.reserve(request(try key(), "t1"), now: .at(0), wallNow: wall)
        _ = ledger.release(try key(), reason: .released, now: .at(1), claim: claim)
        #expect(
            ledger.release(try key(), reason: .released, now: .at(2), claim: claim) == .dying(CreationToken("t1"))
        )
    }

    @Test func `a fenced creation that made nothing gives its slot back`() throws {
        var ledger = StoreLedger()
        _ = ledger.reserve(request(try key(), "t1"), now: .at(0), wallNow: wall)
        _ = ledger.release(try key(), reason: .released, now: .at(1), claim: claim)
        ledger.abandon(try key(), token: CreationToken("t1"))
        #expect(ledger.isEmpty)
    }

    @Test func `whoever ends a lease has the kill to themselves for a while, a fenced commit too`() throws {
        var ledger = StoreLedger()
        _ = ledger.reserve(request(try key(), "t1"), now: .at(0), wallNow: wall)
        _ = ledger.release(try key(), reason: .released, now: .at(1), claim: claim)
        #expect(ledger.commit(record(try key(), Epoch(1), "t1"), now: .at(3), claim: claim) == nil)
        #expect(ledger.dueKills(limit: 9, claim: claim, now: .at(22)).isEmpty)
        #expect(ledger.dueKills(limit: 9, claim: claim, now: .at(23)).count == 1)
        #expect(ledger.dueKills(limit: 9, claim: claim, now: .at(24)).isEmpty)
    }

    @Test func `I4 a sandbox in the outbox without a slot takes the slot of the intent it belongs to`() throws {
        var ledger = StoreLedger()
        guard case .reserved(let epoch) = ledger.reserve(request(try key(), "t1"), now: .at(0), wallNow: wall) else {
            Issue.record("not reserved")
            return
        }
        ledger.detachIntent(try key(), token: CreationToken("t1"), now: .at(5))
        let orphan = SandboxID("sb-1")
        ledger.enqueueKill(KillTicket(sandbox: orphan, token: nil, key: nil, reason: .orphan), now: .at(6))
        let intent = Intent(token: CreationToken("t1"), key: try key(), epoch: epoch, age: .zero)
        ledger.resolveIntent(intent, found: [orphan], now: .at(7))
        #expect(ledger.isTaken(CreationToken("t1")))
        #expect(ledger.confirmKilled(KillTicket(sandbox: orphan, token: nil, key: nil, reason: .orphan)) == true)
        #expect(ledger.isEmpty)
    }

    @Test func `the age of a detached intent counts from its detaching, as its last attempt ended then`() throws {
        var ledger = StoreLedger()
        _ = ledger.reserve(request(try key(), "t1"), now: .at(0), wallNow: wall)
        #expect(ledger.dueIntents(limit: 9, claim: .seconds(5), now: .at(90)).isEmpty)
        ledger.detachIntent(try key(), token: CreationToken("t1"), now: .at(90))
        #expect(ledger.dueIntents(limit: 9, claim: .seconds(5), now: .at(100)).map(\.age) == [.seconds(10)])
        #expect(ledger.usage(now: .at(100)).oldestIntent == .seconds(100))
    }

    @Test func `epochs grow although the wall clock steps back`() throws {
        var ledger = StoreLedger()
        let first = lease(&ledger, try key("a"), "t1", now: .at(0))
        let past = WallTime(sinceEpoch: .seconds(1))
        guard case .reserved(let second) = ledger.reserve(request(try key("b"), "t2"), now: .at(1), wallNow: past)
        else {
            Issue.record("not reserved")
            return
        }
        #expect(try #require(first) < second)
        #expect(first?.rawValue == wall.microseconds)
    }

    @Test func `a lease used or extended meanwhile is not offered to the reaper`() throws {
        var ledger = StoreLedger()
        let epoch = try #require(lease(&ledger, try key(), "t1", now: .at(0)))
        ledger.touch([LeaseUse(key: try key(), epoch: epoch, age: .zero)], now: .at(400))
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(600)).isEmpty)
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(801)).map(\.reason) == [.expired])
        _ = ledger.extend(try key(), epoch: epoch, remaining: .seconds(800), now: .at(802))
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(899)).isEmpty)
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(900)).map(\.reason) == [.idle])
        ledger.touch([LeaseUse(key: try key(), epoch: epoch, age: .zero)], now: .at(901))
        let used = ledger.end(
            try key(),
            epoch: epoch,
            idleFor: .seconds(500),
            reason: .idle,
            now: .at(902),
            claim: claim
        )
        #expect(used == nil)
    }

    @Test func `a paused lease is not idle, only its own limit ends it`() throws {
        var ledger = StoreLedger()
        let epoch = try #require(lease(&ledger, try key(), "t1", now: .at(0)))
        _ = ledger.setPaused(try key(), epoch: epoch, paused: true, remaining: .seconds(86_400), now: .at(10))
        #expect(ledger.usage(now: .at(10)).paused == 1)
        #expect(ledger.usage(now: .at(10)).active == 0)
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(2000)).isEmpty)
        #expect(ledger.dueLeases(limit: 9, again: .seconds(5), now: .at(86_411)).map(\.reason) == [.expired])
    }

    /// What the ledger should hold, kept as plainly as possible.
    private struct Model {
        enum Place: Equatable { case reservation, fenced, detached, lease, outbox }
        var places: [CreationToken: (key: LeaseKey, place: Place)] = [:]

        func taken(_ user: String) -> Int { places.values.count { $0.key.user == user } }
        func current(_ key: LeaseKey) -> (token: CreationToken, place: Place)? {
            places.first { $0.value.key == key && ($0.value.place == .reservation || $0.value.place == .lease) }
                .map { ($0.key, $0.value.place) }
        }
        func count(_ place: Place) -> Int { places.values.count { $0.place == place } }
    }

    @Test(arguments: UInt64(0)..<200)
    func `I2 I4 slots are reservations, leases, open intents and the condemned, and no grant exceeds a limit`(
        seed: UInt64
    ) throws {
        var random = SeededGenerator(seed: seed)
        var ledger = StoreLedger()
        var model = Model()
        var epochs: [CreationToken: Epoch] = [:]
        var last: Epoch?
        let limits = SlotLimits(perUser: 3, total: 6)
        let keys = try (0..<3).flatMap { user in try (0..<4).map { try key("u\(user)", "p\($0)") } }
        for step in 0..<250 {
            let now = MonotonicInstant.at(Double(step))
            let chosen = keys[Int.random(in: 0..<keys.count, using: &random)]
            let any = model.places.keys.sorted { $0.rawValue < $1.rawValue }.randomElement(using: &random)
            let place = any.flatMap { model.places[$0] }
            switch Int.random(in: 0..<9, using: &random) {
            case 0..<3:
                let token = CreationToken("t\(step)")
                let asked = request(chosen, token.rawValue, perUser: limits.perUser, total: limits.total)
                let outcome = ledger.reserve(asked, now: now, wallNow: wall)
                let current = model.current(chosen)
                switch outcome {
                case .reserved(let epoch):
                    #expect(current == nil)
                    #expect(model.taken(chosen.user) < limits.perUser, "seed \(seed), step \(step)")
                    #expect(model.places.count < limits.total, "seed \(seed), step \(step)")
                    if let last { #expect(epoch > last) }
                    last = epoch
                    epochs[token] = epoch
                    model.places[token] = (chosen, .reservation)
                    // A repeated call changes nothing.
                    #expect(ledger.reserve(asked, now: now, wallNow: wall) == .reserved(epoch))
                case .leased: #expect(current?.place == .lease)
                case .reservedElsewhere: #expect(current?.place == .reservation)
                case .limited(let denial):
                    #expect(current == nil)
                    let own = model.taken(chosen.user)
                    #expect(own == limits.perUser || model.places.count == limits.total)
                    let dying = model.places.values.count {
                        $0.key.user == chosen.user && ($0.place == .outbox || $0.place == .fenced)
                    }
                    #expect(denial.releasing == dying, "seed \(seed), step \(step)")
                    #expect(denial.inUse == (denial.scope == .user ? own : model.places.count))
                }
            case 3:
                guard let any, let place, let epoch = epochs[any] else { continue }
                switch place.place {
                case .reservation, .fenced, .detached:
                    let isLeased = ledger.commit(record(place.key, epoch, any.rawValue), now: now) != nil
                    #expect(isLeased == (place.place == .reservation), "seed \(seed), step \(step)")
                    model.places[any]?.place = isLeased ? .lease : .outbox
                case .lease:
                    #expect(ledger.commit(record(place.key, epoch, any.rawValue), now: now) == epoch)
                case .outbox:
                    #expect(ledger.commit(record(place.key, epoch, any.rawValue), now: now) == nil)
                }
            case 4:
                guard let any, let place else { continue }
                ledger.abandon(place.key, token: any)
                if place.place != .lease, place.place != .outbox { model.places[any] = nil }
            case 5:
                guard let any, let place, place.place == .reservation else { continue }
                ledger.detachIntent(place.key, token: any, now: now)
                model.places[any]?.place = .detached
            case 6:
                let outcome = ledger.release(chosen, reason: .released, now: now, claim: claim)
                switch model.current(chosen) {
                case (let token, .reservation)?:
                    #expect(outcome == .fenced(token))
                    model.places[token]?.place = .fenced
                case (let token, _)?:
                    guard case .ended(let ticket) = outcome else {
                        Issue.record("expected an end, seed \(seed)")
                        continue
                    }
                    #expect(ticket.token == token)
                    model.places[token]?.place = .outbox
                case nil:
                    let isDying = model.places.values.contains { $0.key == chosen }
                    if case .dying(let token) = outcome {
                        #expect(model.places[token]?.key == chosen)
                    } else {
                        #expect(outcome == .nothing && !isDying, "seed \(seed), step \(step)")
                    }
                }
            case 7:
                guard let any, let place, let epoch = epochs[any] else { continue }
                let sandbox = SandboxID("sb-\(any)")
                if place.place == .outbox {
                    let ticket = KillTicket(sandbox: sandbox, token: nil, key: nil, reason: .released)
                    #expect(ledger.confirmKilled(ticket) == true)
                    #expect(ledger.confirmKilled(ticket) == false)
                    model.places[any] = nil
                } else if place.place == .detached || place.place == .fenced {
                    let intent = Intent(token: any, key: place.key, epoch: epoch, age: .zero)
                    let found = Bool.random(using: &random)
                    ledger.resolveIntent(intent, found: found ? [sandbox] : [], now: now)
                    if found { model.places[any]?.place = .outbox } else { model.places[any] = nil }
                }
            default:
                guard let any, let place, let epoch = epochs[any] else { continue }
                let isLeased = place.place == .lease
                if Bool.random(using: &random) {
                    #expect(ledger.forget(place.key, epoch: epoch) == isLeased)
                    if isLeased { model.places[any] = nil }
                } else {
                    let stale = Epoch(epoch.rawValue - 1)
                    let none = ledger.end(
                        place.key,
                        epoch: stale,
                        idleFor: nil,
                        reason: .idle,
                        now: now,
                        claim: claim
                    )
                    #expect(none == nil)
                    let ended = ledger.end(
                        place.key,
                        epoch: epoch,
                        idleFor: nil,
                        reason: .idle,
                        now: now,
                        claim: claim
                    )
                    #expect((ended != nil) == isLeased)
                    if isLeased { model.places[any]?.place = .outbox }
                }
            }
            let usage = ledger.usage(now: now)
            #expect(usage.slots == model.places.count, "seed \(seed), step \(step)")
            #expect(usage.reservations == model.count(.reservation), "seed \(seed), step \(step)")
            #expect(usage.active == model.count(.lease))
            #expect(usage.outbox == model.count(.outbox))
            #expect(
                usage.intents == model.count(.reservation) + model.count(.fenced) + model.count(.detached),
                "seed \(seed), step \(step)"
            )
            #expect(usage.largestUser == (0..<3).map { model.taken("u\($0)") }.max())
            for token in epochs.keys { #expect(ledger.isTaken(token) == (model.places[token] != nil)) }
        }
    }
}
