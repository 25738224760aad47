internal import SandboxCore

extension LeaseStoreContract {
    /// From reservation to lease to outbox to nothing.
    public func movesASlotFromReservationToLeaseToOutbox() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            guard case .reservation(let held)? = try await subject.other.lookup(key) else {
                throw ContractBreach(description: "no reservation")
            }
            try check(held.epoch == epoch && held.token == CreationToken("a"))
            try check(held.remaining > .seconds(150) && held.remaining <= .seconds(195), "\(held.remaining)")
            guard case .reservedElsewhere = try await subject.other.reserve(subject.request(key, "b")) else {
                throw ContractBreach(description: "reserved twice")
            }
            let record = subject.record(key, epoch, "a")
            try check(try await store.commit(record) == epoch)
            guard case .lease(let found)? = try await subject.other.lookup(key) else {
                throw ContractBreach(description: "no lease")
            }
            try check(found.sandbox.envdAccessToken == Secret("s") && found.sandbox.trafficAccessToken == nil)
            try check(found.sandbox.id == record.sandbox.id && found.sandbox.domain == "sandbox.example")
            try check(found.epoch == epoch && found.key == key && found.createdAt == record.createdAt)
            try check(found.idleTimeout == record.idleTimeout && !found.isPaused)
            guard
                case .leased(found.withTimes(of: found)) = try await subject.other.reserve(subject.request(key, "b"))
                    .comparable(to: found)
            else {
                throw ContractBreach(description: "a leased key was reserved")
            }
            guard case .ended(let ticket) = try await subject.other.release(key, reason: .released) else {
                throw ContractBreach(description: "not ended")
            }
            try check(ticket == subject.ticket("a", key, epoch: epoch))
            let account = try await subject.other.account(of: key)
            try check(account.userSlots == 1 && account.userReleasing == 1 && account.intents.isEmpty)
            try check(account.kills.map(\.ticket) == [ticket], "\(account)")
            try check(try await store.lookup(key) == nil)
            try check(try await store.isTaken(CreationToken("a")))
            try check(try await store.release(key, reason: .released) == .dying(CreationToken("a")))
            try check(try await store.confirmKilled(ticket))
            try check(try await !store.isTaken(CreationToken("a")))
            try check(try await store.release(key, reason: .released) == .nothing)
            try await subject.checkEmpty()
        }
    }

    /// A caller that lost a reply may repeat the call once.
    public func isIdempotent() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            try check(try await store.reserve(subject.request(key, "a")) == .reserved(epoch))
            for _ in 0..<2 { try check(try await store.commit(subject.record(key, epoch, "a")) == epoch) }
            for _ in 0..<2 { try check(try await store.extend(key, epoch: epoch, remaining: .seconds(900))) }
            for _ in 0..<2 {
                try check(try await store.setPaused(key, epoch: epoch, paused: true, remaining: .seconds(900)))
            }
            var usage = try await subject.usage()
            try check(usage.paused == 1 && usage.active == 0 && usage.slots == 1 && usage.largestUser == 1)
            for _ in 0..<2 { try await store.touch([LeaseUse(key: key, epoch: epoch, age: .zero)]) }
            try check(try await store.forget(key, epoch: epoch))
            try check(try await !store.forget(key, epoch: epoch))
            for _ in 0..<2 { try await store.abandon(key, token: CreationToken("a")) }
            _ = try await subject.reserved(key, "b")
            for _ in 0..<2 { try await store.detachIntent(key, token: CreationToken("b")) }
            usage = try await subject.usage()
            try check(usage.intents == 1 && usage.slots == 1 && usage.reservations == 0)
            for _ in 0..<2 { try await store.abandon(key, token: CreationToken("b")) }
            for _ in 0..<2 { try await store.enqueueKill(subject.ticket("x", nil)) }
            for _ in 0..<2 { try await store.deferKill(subject.ticket("x", nil), by: .zero) }
            try check(try await store.dueKills(limit: 9, claim: .seconds(5)).map(\.attempts) == [1], "counted twice")
            try check(try await store.confirmKilled(subject.ticket("x", nil)))
            try await subject.checkEmpty()
        }
    }

    /// A write that names another epoch does nothing (K2, O6).
    public func refusesStaleEpochs() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.leased(key, "a")
            for other in [Epoch(epoch.rawValue - 1), Epoch(epoch.rawValue + 1)] {
                try check(try await store.end(key, epoch: other, idleFor: nil, reason: .idle) == nil)
                try check(try await !store.forget(key, epoch: other))
                try check(try await !store.extend(key, epoch: other, remaining: .seconds(9)))
                try check(try await !store.setPaused(key, epoch: other, paused: true, remaining: .seconds(9)))
                try await store.touch([LeaseUse(key: key, epoch: other, age: .zero)])
            }
            try check(try await store.end(key, epoch: epoch, idleFor: .seconds(30), reason: .idle) == nil, "in use")
            try check(try await subject.usage().active == 1)
            try check(try await store.forget(key, epoch: epoch))
            let later = try await subject.leased(key, "b")
            try check(later > epoch, "epochs do not grow")
            try check(try await store.end(key, epoch: epoch, idleFor: nil, reason: .idle) == nil)
            try check(try await subject.lease(of: key).epoch == later)
        }
    }

    /// Releasing a key during its creation: what it makes goes to the outbox (O7).
    public func fencesReservations() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            try check(try await store.release(key, reason: .released) == .fenced(CreationToken("a")))
            try check(try await store.release(key, reason: .released) == .dying(CreationToken("a")))
            let second = try await subject.reserved(key, "b")
            try check(second > epoch)
            for _ in 0..<2 { try check(try await store.commit(subject.record(key, epoch, "a")) == nil) }
            let usage = try await subject.usage()
            try check(usage.outbox == 1 && usage.slots == 2 && usage.reservations == 1 && usage.intents == 1)
            try check(usage.largestUser == 2)
            let third = try LeaseKey(user: key.user, project: "x")
            guard case .limited(let denial) = try await store.reserve(subject.request(third, "c")) else {
                throw ContractBreach(description: "not limited")
            }
            try check(denial.scope == .user && denial.limit == 2 && denial.inUse == 2 && denial.releasing == 1)
            let other = try LeaseKey(user: "bob", project: "x")
            _ = try await subject.reserved(other, "d")
            guard case .limited(let all) = try await store.reserve(subject.request(try subject.key("carol"), "e"))
            else {
                throw ContractBreach(description: "not limited")
            }
            try check(all.scope == .total && all.limit == 3 && all.inUse == 3 && all.releasing == 0)
            try check(try await store.dueKills(limit: 9, claim: .seconds(5)).isEmpty, "whoever ended it has it")
        }
    }

    /// A sandbox taken over counts above the limits, and is nobody's if it is condemned.
    public func adopts() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            var record = subject.record(key, Epoch(Int64.max >> 12), "a")
            record.age = .seconds(100)
            let limits = subject.request(try subject.key("bob"), "b", total: 1)
            guard let epoch = try await store.adopt(record) else { throw ContractBreach(description: "not adopted") }
            try check(epoch > record.epoch, "an adopted lease needs an epoch of its own")
            try check(try await store.adopt(subject.record(key, epoch, "x")) == nil, "adopted twice")
            let found = try await subject.lease(of: key)
            try check(found.epoch == epoch && found.age >= .seconds(100) && found.age < .seconds(160))
            guard case .limited = try await store.reserve(limits) else {
                throw ContractBreach(description: "the adopted slot does not count")
            }
            try check(try await subject.reserved(try subject.key("carol"), "c") > epoch)
            try check(try await store.adopt(subject.record(try subject.key("carol"), epoch, "y")) == nil)
            try await store.enqueueKill(subject.ticket("z", nil))
            try check(try await store.adopt(subject.record(try subject.key("dora"), epoch, "z")) == nil, "condemned")
        }
    }

    /// Age, use and expiry are the sandbox's own, whoever reads them (K6), and expiry never moves back.
    public func keepsTimes() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            var record = subject.record(key, epoch, "a")
            record.age = .seconds(890)
            record.idle = .seconds(20)
            record.sandbox.remainingLife = .seconds(300)
            _ = try await store.commit(record)
            try await subject.pass(subject.units(5))
            guard case .lease(let found)? = try await subject.other.lookup(key) else {
                throw ContractBreach(description: "no lease")
            }
            let passed = found.age - .seconds(890)
            try check(passed >= subject.units(5) && passed < .seconds(60), "\(passed)")
            try check(found.idle == .seconds(20) + passed && found.sandbox.remainingLife == .seconds(300) - passed)
            try check(try await store.extend(key, epoch: epoch, remaining: .seconds(30)))
            try check(try await subject.lease(of: key).sandbox.remainingLife > .seconds(200), "moved back")
            try check(try await store.extend(key, epoch: epoch, remaining: .seconds(800)))
            try check(try await subject.lease(of: key).sandbox.remainingLife > .seconds(700))
            try await store.touch([LeaseUse(key: key, epoch: epoch, age: .seconds(500))])
            try check(try await subject.lease(of: key).idle < .seconds(200), "an older use is no news")
            try await store.touch([LeaseUse(key: key, epoch: epoch, age: .seconds(2))])
            let used = try await subject.lease(of: key)
            try check(used.idle >= .seconds(2) && used.idle < .seconds(20) && used.age >= .seconds(890))
        }
    }

    /// Pages of leases in the order of their keys, of all users or one.
    public func listsByKey() async throws {
        try await run { subject in
            let store = subject.store
            for name in ["c", "a", "b"] { _ = try await subject.leased(try subject.key(name), name) }
            for (number, name) in [("b", "p2"), ("b-", "p1"), ("b", "p0"), ("b.", "p")].enumerated() {
                let key = try subject.key(name.0, name.1)
                _ = try await store.adopt(subject.record(key, Epoch(1), "t\(number)"))
            }
            let names = ["a:p1", "b-:p1", "b.:p", "b:p0", "b:p1", "b:p2", "c:p1"]
            var found: [String] = []
            var cursor: String?
            repeat {
                let page = try await store.list(user: nil, limit: 2, after: cursor)
                try check(page.leases.count <= 2)
                found += page.leases.map(\.key.canonical)
                cursor = page.cursor
            } while cursor != nil
            try check(found == names, "\(found)")
            let first = try await store.list(user: "b", limit: 2, after: nil)
            try check(first.leases.map(\.key.project) == ["p0", "p1"])
            let rest = try await store.list(user: "b", limit: 2, after: first.cursor)
            try check(rest.leases.map(\.key.project) == ["p2"] && rest.cursor == nil)
            try check(try await store.list(user: "b", limit: 9, after: "a:p1").leases.count == 3)
            try check(try await store.list(user: "b", limit: 9, after: "c:p1").leases.isEmpty)
            try check(try await store.list(user: "nobody", limit: 9, after: nil) == LeasePage(leases: [], cursor: nil))
            _ = try await subject.store.release(try subject.key("a"), reason: .released)
            try check(try await store.list(user: nil, limit: 9, after: nil).leases.count == 6)
        }
    }
}

extension LeaseRecord {
    /// The same with the times of another reading.
    func withTimes(of other: LeaseRecord) -> LeaseRecord {
        var record = self
        record.age = other.age
        record.idle = other.idle
        record.sandbox.remainingLife = other.sandbox.remainingLife
        return record
    }
}

extension ReserveOutcome {
    /// With the times of another reading of the lease.
    func comparable(to other: LeaseRecord) -> ReserveOutcome {
        if case .leased(let record) = self { .leased(record.withTimes(of: other)) } else { self }
    }
}
