internal import SandboxCore

extension LeaseStoreContract {
    /// I1 and L4: however many ask for a key at once, one of them creates.
    public func grantsAKeyOnce() async throws {
        try await run { subject in
            let key = try subject.key()
            let outcomes = try await subject.atOnce(100) { store, number in
                try await store.reserve(subject.request(key, "t\(number)"))
            }
            let granted = outcomes.count { if case .reserved = $0 { true } else { false } }
            try check(granted == 1, "\(granted) of \(outcomes.count) create")
            let usage = try await subject.usage()
            try check(usage.slots == 1 && usage.reservations == 1 && usage.intents == 1, "\(usage)")
        }
    }

    /// I2, L1 and L3: no burst exceeds the limit of a user.
    public func keepsTheLimitOfAUser() async throws {
        try await run { subject in
            let outcomes = try await subject.atOnce(200) { store, number in
                let key = try subject.key("alice", "p\(number)")
                return try await store.reserve(subject.request(key, "t\(number)", total: 100))
            }
            let granted = outcomes.count { if case .reserved = $0 { true } else { false } }
            try check(granted == 2, "\(granted) granted")
            try check(try await subject.usage().largestUser == 2)
            for case .limited(let denial) in outcomes { try check(denial.scope == .user && denial.inUse == 2) }
        }
    }

    /// I2 and L3: no burst exceeds the limit of all.
    public func keepsTheLimitOfAll() async throws {
        try await run { subject in
            let outcomes = try await subject.atOnce(500) { store, number in
                let key = try subject.key("u\(number)")
                return try await store.reserve(subject.request(key, "t\(number)", total: 100))
            }
            let granted = outcomes.count { if case .reserved = $0 { true } else { false } }
            try check(granted == 100, "\(granted) granted")
            try check(try await subject.usage().slots == 100)
            let epochs = Set(
                outcomes.compactMap { outcome -> Epoch? in
                    if case .reserved(let epoch) = outcome { epoch } else { nil }
                }
            )
            try check(epochs.count == 100, "an epoch was given twice")
        }
    }

    /// O7: a commit and a release at once leave either a dying lease or a fenced creation, never a lease.
    public func decidesBetweenCommitAndRelease() async throws {
        try await run { subject in
            for round in 0..<20 {
                let key = try subject.key("u\(round)")
                let epoch = try await subject.reserved(key, "t\(round)")
                let record = subject.record(key, epoch, "t\(round)")
                async let committed = subject.store.commit(record)
                async let released = subject.other.release(key, reason: .released)
                switch (try await committed, try await released) {
                case (epoch, .ended), (nil, .fenced): break
                // The first answer was lost, and the release came before the repetition.
                case (nil, .ended): break
                case (let committed, let released):
                    throw ContractBreach(description: "\(String(describing: committed)) and \(released)")
                }
                try check(try await subject.store.lookup(key) == nil)
                let usage = try await subject.usage()
                try check(usage.slots == 1 && usage.outbox == 1 && usage.intents == 0, "\(usage)")
                try check(try await subject.store.confirmKilled(subject.ticket("t\(round)", key)))
            }
            try await subject.checkEmpty()
        }
    }

    /// I7: a lease that was used in time is not ended for idleness, and one that was ended is not used.
    public func decidesBetweenEndAndTouch() async throws {
        try await run { subject in
            for round in 0..<20 {
                let key = try subject.key("u\(round)")
                var record = subject.record(key, try await subject.reserved(key, "t\(round)"), "t\(round)")
                record.idle = .seconds(600)
                _ = try await subject.store.commit(record)
                let (epoch, use) = (record.epoch, LeaseUse(key: key, epoch: record.epoch, age: .zero))
                async let ended = subject.store.end(key, epoch: epoch, idleFor: .seconds(500), reason: .idle)
                async let touched: Void = subject.other.touch([use])
                let (ticket, _) = (try await ended, try await touched)
                if let ticket {
                    try check(try await subject.store.lookup(key) == nil)
                    try check(try await subject.store.confirmKilled(ticket))
                } else {
                    try check(try await subject.lease(of: key).idle < .seconds(60))
                    try check(try await subject.store.forget(key, epoch: epoch))
                }
            }
            try await subject.checkEmpty()
        }
    }

    /// Only one of many hears that it was they who confirmed a death, and the slot is freed once.
    public func confirmsADeathOnce() async throws {
        try await run { subject in
            let key = try subject.key()
            _ = try await subject.leased(key, "a")
            _ = try await subject.leased(try subject.key("alice", "p2"), "b")
            guard case .ended(let ticket) = try await subject.store.release(key, reason: .released) else {
                throw ContractBreach(description: "not ended")
            }
            let confirmed = try await subject.atOnce(20) { store, _ in try await store.confirmKilled(ticket) }
            try check(confirmed.count { $0 } == 1)
            let usage = try await subject.usage()
            try check(usage.slots == 1 && usage.largestUser == 1 && usage.outbox == 0, "\(usage)")
        }
    }
}

extension LeaseStoreContract.Subject {
    /// Runs `body` so often at once, on both views of the store in turn.
    func atOnce<Value: Sendable>(
        _ count: Int,
        _ body: @escaping @Sendable (any SharedLeaseStore, Int) async throws -> Value
    ) async throws -> [Value] {
        let stores = [store, other]
        return try await withThrowingTaskGroup(of: Value.self) { group in
            for number in 0..<count {
                group.addTask { try await body(stores[number % 2], number) }
            }
            var values: [Value] = []
            for try await value in group { values.append(value) }
            return values
        }
    }
}
