internal import Logging
internal import Synchronization

// Books against provider. What runs and is in no book is leased to its owner again or, watched for a while, killed; what
// is in the books and does not run any more is forgotten; slots get what justifies them (I3, I4).

extension SandboxManager {
    /// The most that one question about the books names.
    private static let page = 256
    /// A round kills at most this, or a tenth of what is listed if that is more: a fault of ours must not be everybody's.
    private static let killLimit = 10

    /// What comparisons found, for gauges and for the next round.
    struct Reconciliation {
        var watch = OrphanWatch()
        var bill = SandboxBill()
        var provider = ProviderGauges()
        var drift = LedgerDrift()
        /// Only one comparison at a time: two would adopt and kill side by side.
        var isUnderWay = false
    }

    /// What one look at provider and books found.
    struct Comparison {
        var began: MonotonicInstant
        var edition: BooksEdition
        /// What runs under our labels.
        var listed: [SandboxInfo]
        /// What of it is in no book.
        var strays: [SandboxInfo]
        /// What of that was not seen before.
        var newStrays = 0
        /// Leases that are older than the listing and not in it.
        var missing: [LeaseRecord]
        /// How many sandboxes ran, by what for.
        var running: [SandboxUse: Int]

        var scanned: Int { listed.count + missing.count }
    }

    /// One round: every replica compares, the one on duty puts right.
    func reconcile() async throws(ManagerError) -> Tally {
        // Alone, what other replicas made looks like nobody's. And what is being taken over is not judged meanwhile.
        guard store.mode != .degraded, isKnowledgeComplete, beginComparison() else { return Tally() }
        defer { endComparison() }
        let comparison = try await compare()
        // A little less than a round: a replica that dies is followed within two.
        let term = configuration.reconciler.interval * 9 / 10
        let isOnDuty = try await asked { () async throws(StoreError) in
            try await store.takeDuty(.reconciler, for: term)
        }
        settleBill(comparison, isOnDuty: isOnDuty)
        guard isOnDuty else { return Tally(scanned: comparison.scanned) }
        switch configuration.reconciler.mode {
        case .observe:
            observe(comparison)
            return Tally(scanned: comparison.scanned)
        case .repair:
            return try await putRight(comparison)
        }
    }

    // MARK: Comparing

    func beginComparison() -> Bool {
        reconciliation.withLock { state in
            defer { state.isUnderWay = true }
            return !state.isUnderWay
        }
    }

    func endComparison() {
        reconciliation.withLock { $0.isUnderWay = false }
    }

    /// Lists the provider, then looks every sandbox up in the books, and every lease in the listing.
    ///
    /// Not on the actor: with many leases it takes a second, and every acquire that is not hot needs a turn there.
    @concurrent
    nonisolated func compare() async throws(ManagerError) -> Comparison {
        // Before the listing: what is lost after this is not in its account.
        let edition = store.edition
        let began = runtime.time.now()
        let filter = SandboxFilter.environment(configuration.environment)
        let found = try await called { () async throws(ProviderError) in try await provider.list(filter) }
        // What carries no labels of ours, or another fleet's, is somebody else's.
        let listed = found.filter { $0.labels?.environment == configuration.environment }
        let strays = try await unaccounted(listed)
        let leases = try await leases(of: nil)
        let members = store.usage().warm > 0 ? try await self.leases(of: LeaseKey.warmUser) : []
        let ids = Set(found.map(\.sandbox.id))
        // One that was made since cannot be in the listing.
        let age = runtime.time.now() - began
        let missing = (leases + members).filter { !ids.contains($0.sandbox.id) && $0.age > age }
        let running = listed.filter { $0.state == .running }.map(\.sandbox.id)
        var comparison = Comparison(
            began: began,
            edition: edition,
            listed: listed,
            strays: listed.filter { strays.contains($0.sandbox.id) },
            missing: missing,
            running: SandboxBill.uses(
                of: running,
                leases: Dictionary(leases.map { ($0.sandbox.id, $0.idle) }, uniquingKeysWith: min),
                usage: store.usage()
            )
        )
        comparison.newStrays = reconciliation.withLock { state in
            state.provider.running = running.count
            state.provider.paused = listed.count - running.count
            state.drift.untrackedAtProvider = strays.count
            state.drift.missingAtProvider = missing.count
            return state.watch.see(strays, in: edition, now: began).count
        }
        return comparison
    }

    private nonisolated func unaccounted(_ listed: [SandboxInfo]) async throws(ManagerError) -> Set<SandboxID> {
        let all = listed.compactMap { info in
            info.labels.map { ListedSandbox(id: info.sandbox.id, token: $0.token, key: $0.key) }
        }
        var strays: Set<SandboxID> = []
        for start in stride(from: 0, to: all.count, by: Self.page) {
            let page = Array(all[start..<min(start + Self.page, all.count)])
            strays.formUnion(try await asked { () async throws(StoreError) in try await store.unaccounted(page) })
        }
        return strays
    }

    private nonisolated func leases(of user: String?) async throws(ManagerError) -> [LeaseRecord] {
        var leases: [LeaseRecord] = []
        var cursor: String?
        repeat {
            let after = cursor
            let page = try await asked { () async throws(StoreError) in
                try await store.list(user: user, limit: Self.page, after: after)
            }
            leases += page.leases
            cursor = page.cursor
        } while cursor != nil
        return leases
    }

    /// Whoever is on duty counts for the whole fleet.
    private func settleBill(_ comparison: Comparison, isOnDuty: Bool) {
        let longest = configuration.reconciler.interval * 2
        let times = reconciliation.withLock { state -> [SandboxUse: Duration] in
            guard isOnDuty else {
                state.bill.pause()
                return [:]
            }
            return state.bill.settle(comparison.running, atMost: longest, now: comparison.began)
        }
        for (use, time) in times { observer.sandboxesRan(use, for: time) }
    }

    // MARK: Putting right

    private func observe(_ comparison: Comparison) {
        for _ in 0..<comparison.newStrays { observer.orphanFound(.observed) }
        guard comparison.strays.count + comparison.missing.count > 0 else { return }
        log.warning(
            "books and provider differ; nothing is put right in mode observe",
            metadata: [
                "untracked": "\(comparison.strays.count)", "missing": "\(comparison.missing.count)",
            ]
        )
    }

    private func putRight(_ comparison: Comparison) async throws(ManagerError) -> Tally {
        var tally = await adopt(comparison.strays)
        tally.scanned = comparison.scanned
        tally += try await killOverdue(comparison)
        tally += await forget(comparison.missing)
        let repaired = try await asked { () async throws(StoreError) in try await store.repair() }
        let storeOnly = repaired.unjustified + repaired.missing
        reconciliation.withLock { $0.drift.storeOnly = storeOnly }
        tally.acted += storeOnly
        if storeOnly > 0 {
            log.warning(
                "repaired slots",
                metadata: ["unjustified": "\(repaired.unjustified)", "missing": "\(repaired.missing)"]
            )
        }
        return tally
    }

    /// Leases strays to the keys that they were made for, where those hold nothing else.
    func adopt(_ strays: [SandboxInfo]) async -> Tally {
        var tally = Tally()
        // Who used a sandbox of the warm pool since it was made, its labels do not tell: nobody gets it (I5).
        let owned = strays.filter { $0.labels?.key.isWarm == false }
        let byKey = Dictionary(grouping: owned, by: \.labels?.key)
        let outcomes = await inParallel(Array(byKey)) { entry -> Int? in
            guard let key = entry.key else { return 0 }
            return await self.takeOver(entry.value, key)
        }
        for outcome in outcomes {
            guard let adopted = outcome else {
                tally.failed += 1
                continue
            }
            for _ in 0..<adopted { observer.orphanFound(.adopted) }
            tally.acted += adopted
        }
        return tally
    }

    /// Condemns what nobody could use for the whole grace: its key holds another sandbox, or it never was a key's.
    private func killOverdue(_ comparison: Comparison) async throws(ManagerError) -> Tally {
        let overdue = reconciliation.withLock { state in
            state.watch.overdue(after: configuration.reconciler.grace, now: comparison.began)
        }
        let byID = Dictionary(comparison.strays.map { ($0.sandbox.id, $0) }, uniquingKeysWith: { first, _ in first })
        let candidates = overdue.compactMap { byID[$0] }
        // Some may have been adopted a moment ago, or written into the books by their maker.
        let strays = try await unaccounted(candidates)
        let condemned = candidates.filter { strays.contains($0.sandbox.id) }
        let limit = max(Self.killLimit, comparison.listed.count / 10)
        var tally = Tally()
        for info in condemned.prefix(limit) {
            try await condemnOrphan(info)
            reconciliation.withLock { $0.watch.forget(info.sandbox.id) }
            observer.orphanFound(.killed)
            log.warning("condemned an orphan", metadata: ["sandbox": "\(info.sandbox.id)"])
            if let key = info.labels?.key { note(key, "an orphan is killed: \(info.sandbox.id)") }
            tally.acted += 1
        }
        if condemned.count > limit {
            log.error(
                "more orphans than one round may kill; the rest waits for the next",
                metadata: ["orphans": "\(condemned.count)", "limit": "\(limit)"]
            )
        }
        return tally
    }

    /// Puts a sandbox that is nobody's, and has no slot, into the outbox.
    func condemnOrphan(_ info: SandboxInfo) async throws(ManagerError) {
        let ticket = KillTicket(
            sandbox: info.sandbox.id,
            token: nil,
            key: info.labels?.key,
            reason: .orphan,
            epoch: info.labels?.epoch
        )
        try await asked { () async throws(StoreError) in try await store.enqueueKill(ticket) }
    }

    /// Ends leases whose sandbox is gone, each on the provider's own word (I4).
    func forget(_ missing: [LeaseRecord]) async -> Tally {
        var tally = Tally()
        let settled = await inParallel(missing) { record -> Bool? in
            let outcome = await Result.catching { () async throws(ManagerError) -> Bool in
                let found = try await self.called { () async throws(ProviderError) in
                    try await self.provider.info(record.sandbox.id)
                }
                guard found == nil else { return false }
                let lease = Lease(record, now: self.runtime.time.now())
                try await self.measured(.reconcile) { () async throws(ManagerError) in try await self.forget(lease) }
                return true
            }
            return try? outcome.get()
        }
        for isForgotten in settled {
            switch isForgotten {
            case true: tally.acted += 1
            case false: break
            case nil: tally.failed += 1
            }
        }
        return tally
    }
}
