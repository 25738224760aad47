internal import SandboxCore

extension LeaseStoreContract {
    /// What a replica knows and the store has lost comes back as it was, above the limits.
    public func restoresLeases() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            var record = subject.record(key, Epoch(2_000_000_000_000_000), "a")
            record.age = .seconds(300)
            record.idle = .seconds(7)
            record.isPaused = true
            for _ in 0..<2 { try check(try await store.restore(record) == .kept(record.epoch)) }
            var found = try await subject.lease(of: key)
            try check(found.withTimes(of: record) == record && found.age >= .seconds(300) && found.idle >= .seconds(7))
            let usage = try await subject.usage()
            try check(usage.slots == 1 && usage.paused == 1 && usage.active == 0)
            for name in ["u1", "u2", "u3"] {
                let other = subject.record(try subject.key(name), Epoch(5), name)
                try check(try await store.restore(other) == .kept(Epoch(5)))
            }
            guard case .limited = try await store.reserve(subject.request(try subject.key("u4"), "b")) else {
                throw ContractBreach(description: "restored slots do not count")
            }
            // The same sandbox under another epoch: the store's epoch stays, the later times win.
            record.epoch = Epoch(7)
            record.idle = .seconds(2)
            record.sandbox.remainingLife = .seconds(900)
            try check(try await store.restore(record) == .kept(Epoch(2_000_000_000_000_000)))
            found = try await subject.lease(of: key)
            try check(found.idle < .seconds(7) && found.sandbox.remainingLife > .seconds(800))
            record.idle = .seconds(400)
            record.sandbox.remainingLife = .seconds(9)
            _ = try await store.restore(record)
            found = try await subject.lease(of: key)
            try check(found.idle < .seconds(300) && found.sandbox.remainingLife > .seconds(700))
            try check(try await store.forget(key, epoch: Epoch(2_000_000_000_000_000)))
            try check(try await store.forget(try subject.key("u1"), epoch: Epoch(5)))
            try check(try await subject.reserved(key, "c") > Epoch(2_000_000_000_000_000), "epochs grow on")
        }
    }

    /// Of two sandboxes of one key the higher epoch stays; the other dies, with its slot.
    public func restoresTheHigherEpoch() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let old = subject.record(key, Epoch(100), "old")
            let new = subject.record(key, Epoch(200), "new")
            try check(try await store.restore(old) == .kept(Epoch(100)))
            for _ in 0..<2 { try check(try await store.restore(new) == .kept(Epoch(200))) }
            try check(try await subject.lease(of: key).sandbox.id == new.sandbox.id)
            for _ in 0..<2 { try check(try await store.restore(old) == .superseded) }
            try check(try await store.restore(subject.record(key, Epoch(150), "mid")) == .superseded)
            try check(try await store.restore(subject.record(key, Epoch(200), "same")) == .superseded)
            try check(try await subject.lease(of: key).sandbox.id == new.sandbox.id)
            let usage = try await subject.usage()
            try check(usage.slots == 4 && usage.outbox == 3 && usage.active == 1 && usage.largestUser == 4, "\(usage)")
            let kills = try await store.dueKills(limit: 9, claim: .seconds(30))
            try check(Set(kills.compactMap(\.token?.rawValue)) == ["old", "mid", "same"])
            for ticket in kills { try check(try await store.confirmKilled(ticket)) }
            try check(try await store.forget(key, epoch: Epoch(200)))
            try await subject.checkEmpty()
        }
    }

    /// A lease that comes back while its key is reserved.
    public func restoresLeasesOverReservations() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let epoch = try await subject.reserved(key, "a")
            for _ in 0..<2 { try check(try await store.restore(subject.record(key, epoch, "a")) == .kept(epoch)) }
            var usage = try await subject.usage()
            try check(usage.slots == 1 && usage.reservations == 0 && usage.intents == 0 && usage.active == 1)
            try check(try await store.commit(subject.record(key, epoch, "a")) == epoch, "a commit that comes late")
            let other = try subject.key("bob")
            let theirs = try await subject.reserved(other, "b")
            try check(try await store.restore(subject.record(other, Epoch(9), "c")) == .kept(Epoch(9)))
            usage = try await subject.usage()
            try check(usage.slots == 3 && usage.reservations == 0 && usage.intents == 1 && usage.active == 2)
            try check(try await store.commit(subject.record(other, theirs, "b")) == nil, "not fenced")
            try check(try await subject.lease(of: other).sandbox.id == SandboxID("sb-c"))
            // Of a creation that was fenced: alive after all, so nothing of it is on its way out.
            let fenced = try subject.key("eve")
            _ = try await store.restore(
                RestoredIntent(request: subject.request(fenced, "e"), epoch: Epoch(5), isHeld: true)
            )
            try check(try await store.release(fenced, reason: .released) == .fenced(CreationToken("e")))
            try check(try await store.restore(subject.record(fenced, Epoch(5), "e")) == .kept(Epoch(5)))
            guard
                case .limited(let denial) = try await store.reserve(subject.request(try subject.key("eve", "p2"), "f"))
            else { throw ContractBreach(description: "not limited") }
            try check(denial.releasing == 0, "\(denial)")
            // Condemned by somebody else while we were away.
            try await store.enqueueKill(
                KillTicket(sandbox: SandboxID("sb-d"), token: nil, key: nil, reason: .orphan)
            )
            let late = subject.record(try subject.key("dora"), Epoch(9), "d")
            for _ in 0..<2 { try check(try await store.restore(late) == .superseded) }
            try check(try await store.lookup(late.key) == nil)
            try check(try await store.isTaken(late.token))
            try check(try await store.confirmKilled(subject.ticket("d", nil)))
            try check(try await !store.isTaken(late.token))
        }
    }

    /// Creations come back with slot and intent, and with the key if it is free.
    public func restoresIntents() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let held = RestoredIntent(request: subject.request(key, "a"), epoch: Epoch(50), isHeld: true)
            for _ in 0..<2 { try await store.restore(held) }
            guard case .reservation(let reservation)? = try await store.lookup(key) else {
                throw ContractBreach(description: "not held")
            }
            try check(reservation.token == CreationToken("a") && reservation.epoch == Epoch(50))
            try check(try await store.dueIntents(limit: 9, claim: .seconds(30)).isEmpty)
            // The key is somebody's by now: the creation goes on, fenced.
            let late = RestoredIntent(request: subject.request(key, "b"), epoch: Epoch(40), isHeld: true)
            for _ in 0..<2 { try await store.restore(late) }
            try check(try await store.commit(subject.record(key, Epoch(40), "b")) == nil)
            try await store.restore(late)
            try check(try await store.commit(subject.record(key, Epoch(50), "a")) == Epoch(50))
            try await store.restore(held)
            var usage = try await subject.usage()
            try check(usage.slots == 2 && usage.intents == 0 && usage.outbox == 1 && usage.active == 1, "\(usage)")
            let open = RestoredIntent(
                request: subject.request(try subject.key("bob"), "c"),
                epoch: Epoch(60),
                isHeld: false
            )
            for _ in 0..<2 { try await store.restore(open) }
            try check(try await store.lookup(open.request.key) == nil)
            let due = try await store.dueIntents(limit: 9, claim: .seconds(30))
            try check(due.map(\.token) == [CreationToken("c")] && due.map(\.isHeld) == [false])
            try await store.resolveIntent(due[0], found: [])
            usage = try await subject.usage()
            try check(usage.slots == 2 && usage.intents == 0, "\(usage)")
            try check(try await subject.reserved(try subject.key("bob"), "d") > Epoch(60))
        }
    }

    /// What a replica condemned while the store was away dies in its books too.
    public func restoresKills() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            _ = try await subject.leased(key, "a")
            for _ in 0..<2 { try await store.restore(subject.ticket("a", key), isDead: false) }
            try check(try await store.lookup(key) == nil)
            var usage = try await subject.usage()
            try check(usage.slots == 1 && usage.outbox == 1 && usage.active == 0, "\(usage)")
            for _ in 0..<2 { try await store.restore(subject.ticket("a", key), isDead: true) }
            try await subject.checkEmpty()
            _ = try await subject.leased(key, "b")
            for _ in 0..<2 { try await store.restore(subject.ticket("b", key), isDead: true) }
            try await subject.checkEmpty()
            // The store lost it: its slot counts until it is dead.
            try await store.restore(subject.ticket("c", key), isDead: false)
            usage = try await subject.usage()
            try check(usage.slots == 1 && usage.outbox == 1, "\(usage)")
            let epoch = try await subject.leased(key, "d")
            try await store.restore(subject.ticket("c", key), isDead: true)
            try check(try await subject.lease(of: key).epoch == epoch, "another sandbox's lease is left alone")
            try await store.restore(
                KillTicket(sandbox: SandboxID("sb-d"), token: nil, key: key, reason: .idle),
                isDead: false
            )
            try check(try await store.dueKills(limit: 9, claim: .zero).map(\.token) == [CreationToken("d")])
        }
    }

    /// Books in order need no repair.
    public func repairsNothingThatIsInOrder() async throws {
        try await run { subject in
            let store = subject.store
            _ = try await subject.leased(try subject.key("a"), "a")
            _ = try await subject.reserved(try subject.key("b"), "b")
            _ = try await subject.leased(try subject.key("c"), "c")
            _ = try await store.release(try subject.key("c"), reason: .released)
            let usage = try await subject.usage()
            var sum = RepairedSlots(scanned: 0, unjustified: 0, missing: 0, cursor: nil)
            repeat {
                let step = try await store.repair(from: sum.cursor)
                sum.scanned += step.scanned
                sum.unjustified += step.unjustified
                sum.missing += step.missing
                sum.cursor = step.cursor
            } while sum.cursor != nil
            try check(sum == RepairedSlots(scanned: 3, unjustified: 0, missing: 0, cursor: nil), "\(sum)")
            let after = try await subject.usage()
            try check(after.slots == usage.slots && after.intents == usage.intents && after.outbox == usage.outbox)
        }
    }

    /// A store keeps its name, and once it is complete it says so to everybody.
    public func attaches() async throws {
        try await run { subject in
            let first = try await subject.store.attach()
            try await subject.store.beat()
            try await subject.store.markComplete(first.incarnation)
            let second = try await subject.other.attach()
            try check(second.incarnation == first.incarnation && second.isComplete)
        }
    }
}
