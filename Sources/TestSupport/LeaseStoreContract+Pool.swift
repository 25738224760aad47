internal import SandboxCore

// The warm pool: members are leases of keys that no caller can name.

extension LeaseStoreContract {
    /// A member is nobody's lease, and takes a slot; a claim makes it a key's, with its slot, in one step.
    public func claimsMembers() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            try check(try await store.claimWarm(subject.claim(key)) == .empty)
            let member = try await subject.member("m1")
            var usage = try await subject.usage()
            try check(usage.slots == 1 && usage.warm == 1 && usage.warmPending == 0, "\(usage)")
            try check(usage.active == 0 && usage.largestUser == 0 && usage.reservations == 0, "\(usage)")
            try check(try await store.list(user: nil, limit: 9, after: nil).leases.isEmpty, "a member is no lease")
            try check(try await store.list(user: nil, limit: 9, after: "*warm*").leases.isEmpty)
            let members = try await subject.other.list(user: LeaseKey.warmUser, limit: 9, after: nil)
            try check(members.leases.map(\.key) == [member.key])
            try check(try await subject.other.claimWarm(subject.claim(key, template: "other")) == .empty)
            try check(try await subject.other.claimWarm(subject.claim(key, template: "bas")) == .empty)
            try check(try await subject.other.claimWarm(subject.claim(key, leastLife: .seconds(801))) == .empty)
            try check(try await subject.other.claimWarm(subject.claim(key, perUser: 0)) == .refused)
            let outcome = try await subject.other.claimWarm(subject.claim(key))
            guard case .claimed(let claimed) = outcome else { throw ContractBreach(description: "\(outcome)") }
            try check(claimed.key == key && claimed.token == member.token && claimed.epoch > member.epoch)
            try check(claimed.sandbox.id == member.sandbox.id && claimed.sandbox.envdAccessToken == Secret("s"))
            try check(claimed.idleTimeout == .seconds(77) && claimed.idle < .seconds(5), "its use begins now")
            try check(claimed.createdAt == member.createdAt && claimed.sandbox.remainingLife <= .seconds(800))
            let found = try await subject.lease(of: key)
            try check(found.withTimes(of: claimed) == claimed)
            try check(try await store.lookup(member.key) == nil)
            usage = try await subject.usage()
            try check(usage.slots == 1 && usage.warm == 0 && usage.active == 1 && usage.largestUser == 1, "\(usage)")
            try check(try await store.claimWarm(subject.claim(key)) == .refused, "it holds a lease")
            try check(try await store.claimWarm(subject.claim(try subject.key("bob"))) == .empty, "it is gone")
            try check(try await store.end(member.key, epoch: member.epoch, idleFor: nil, reason: .warmExpired) == nil)
            try check(try await !store.extend(member.key, epoch: member.epoch, remaining: .seconds(900)))
            guard case .ended(let ticket) = try await store.release(key, reason: .released) else {
                throw ContractBreach(description: "not ended")
            }
            try check(ticket == subject.ticket("m1", key, epoch: claimed.epoch))
            try check(try await store.confirmKilled(ticket))
            try await subject.checkEmpty()
        }
    }

    /// Many claims at once: nobody gets another's sandbox, no limit is exceeded.
    public func givesAMemberOnce() async throws {
        try await run { subject in
            for name in ["m1", "m2"] { _ = try await subject.member(name) }
            let keys = try (1...20).map { try subject.key("user\($0)") }
            let claimed = try await withThrowingTaskGroup(of: WarmClaimOutcome.self) { group in
                for (number, key) in keys.enumerated() {
                    let store = number.isMultiple(of: 2) ? subject.store : subject.other
                    group.addTask { try await store.claimWarm(subject.claim(key)) }
                }
                var claimed: [LeaseRecord] = []
                for try await outcome in group {
                    if case .claimed(let record) = outcome { claimed.append(record) }
                }
                return claimed
            }
            try check(claimed.count == 2 && Set(claimed.map(\.sandbox.id)).count == 2, "\(claimed)")
            let usage = try await subject.usage()
            try check(usage.slots == 2 && usage.active == 2 && usage.warm == 0, "\(usage)")
        }
    }

    /// The pool's target holds for the fleet, and the total for pool and users together; a refused user comes first.
    public func limitsThePool() async throws {
        try await run { subject in
            let store = subject.store
            let first = try subject.poolKey("m1")
            guard case .reserved(let epoch) = try await store.reserve(subject.request(first, "m1", perUser: 1)) else {
                throw ContractBreach(description: "not reserved")
            }
            var usage = try await subject.usage()
            try check(usage.warm == 0 && usage.warmPending == 1 && usage.reservations == 1, "\(usage)")
            let second = subject.request(try subject.poolKey("m2"), "m2", perUser: 1)
            guard case .limited = try await subject.other.reserve(second) else {
                throw ContractBreach(description: "more than the target")
            }
            _ = try await store.commit(subject.record(first, epoch, "m1"))
            guard case .limited = try await subject.other.reserve(second) else {
                throw ContractBreach(description: "more than the target")
            }
            for name in ["a", "b"] { _ = try await subject.leased(try subject.key(name), name) }
            let refused = try await store.reserve(subject.request(try subject.key("c"), "c"))
            guard case .limited(let denial) = refused, denial.scope == .total else {
                throw ContractBreach(description: "the pool's slot does not count: \(refused)")
            }
            guard let ticket = try await store.end(first, epoch: epoch, idleFor: nil, reason: .warmExpired) else {
                throw ContractBreach(description: "not ended")
            }
            try check(try await store.confirmKilled(ticket))
            guard case .limited = try await subject.other.reserve(second) else {
                throw ContractBreach(description: "the pool took the slot of whom it was freed for")
            }
            _ = try await subject.reserved(try subject.key("c"), "c")
            usage = try await subject.usage()
            try check(usage.slots == 3 && usage.warm == 0 && usage.warmPending == 0, "\(usage)")
        }
    }

    /// What becomes known late about a member's making does nothing to whoever claimed it.
    public func keepsClaimsFromLateWords() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            let member = try await subject.member("m1")
            guard case .claimed(let claimed) = try await store.claimWarm(subject.claim(key)) else {
                throw ContractBreach(description: "not claimed")
            }
            try check(try await subject.other.commit(member) != nil, "it was committed")
            try check(try await subject.other.restore(member) == .kept(member.epoch))
            let request = subject.request(member.key, "m1")
            try await subject.other.restore(RestoredIntent(request: request, epoch: member.epoch, isHeld: true))
            let usage = try await subject.usage()
            try check(usage.slots == 1 && usage.warm == 0 && usage.active == 1 && usage.intents == 0, "\(usage)")
            try check(usage.outbox == 0, "its sandbox would be killed")
            try check(try await subject.lease(of: key).epoch == claimed.epoch)
        }
    }

    /// A member that comes back, or whose claim comes back, is nobody else's (I5).
    public func neverGivesAwayWhatMayHaveBeenUsed() async throws {
        try await run { subject in
            let store = subject.store
            let key = try subject.key()
            // Older books still have the member; a replica knows who claimed it since.
            let member = try await subject.member("m1")
            let claimed = subject.record(key, Epoch(member.epoch.rawValue + 5), "m1")
            for _ in 0..<2 { try check(try await store.restore(claimed) == .kept(claimed.epoch)) }
            var usage = try await subject.usage()
            try check(usage.slots == 1 && usage.warm == 0 && usage.active == 1 && usage.largestUser == 1, "\(usage)")
            try check(try await subject.other.claimWarm(subject.claim(try subject.key("bob"))) == .empty)
            // One that a replica puts back may have been claimed and lost again meanwhile.
            let returned = subject.record(try subject.poolKey("m2"), Epoch(5), "m2")
            try check(try await store.restore(returned) == .kept(Epoch(5)))
            try check(try await subject.other.claimWarm(subject.claim(try subject.key("bob"))) == .empty)
            try check(try await store.list(user: LeaseKey.warmUser, limit: 9, after: nil).leases.isEmpty)
            usage = try await subject.usage()
            try check(usage.slots == 2 && usage.warm == 0, "\(usage)")
            try check(try await store.isTaken(CreationToken("m2")), "it exists and costs money")
        }
    }
}

extension LeaseStoreContract.Subject {
    func poolKey(_ token: String, template: String = "base") throws -> LeaseKey {
        try LeaseKey(recorded: LeaseKey.warmUser, project: LeaseKey.warmPrefix(template) + token)
    }

    func claim(
        _ key: LeaseKey,
        template: String = "base",
        perUser: Int = 2,
        leastLife: Duration = .seconds(30)
    ) -> WarmClaimRequest {
        WarmClaimRequest(
            key: key,
            template: template,
            perUser: perUser,
            leastLife: leastLife,
            idleTimeout: .seconds(77)
        )
    }

    /// Makes a member, as the filler does.
    func member(_ token: String) async throws -> LeaseRecord {
        let key = try poolKey(token)
        let epoch = try await reserved(key, token)
        var record = record(key, epoch, token)
        record.idleTimeout = .seconds(1_000_000)
        try check(try await store.commit(record) == epoch, "not committed")
        return record
    }
}
