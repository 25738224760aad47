internal import Logging
internal import Synchronization

// What the manager does for a store that is shared with other replicas.

extension SandboxManager: LeaseStoreClient {
    /// See ``LeaseStoreClient/leasesInMemory()``.
    public nonisolated func leasesInMemory() -> [LeaseRecord] {
        let now = runtime.time.now()
        return copies { _, _ in true }.map { $0.record(now: now) }
    }

    /// The leases in memory that are wanted. Looks at a few at a time: the hot path waits for no more than that.
    nonisolated func copies(where isWanted: @Sendable (LeaseTable, Lease) -> Bool) -> [Lease] {
        var found: [LeaseKey: Lease] = [:]
        var cursor = DenseTable<PackedLease>.Cursor()
        while true {
            let piece = table.withLock { table in
                table.leases.nextPiece(&cursor)?.map(\.value).filter { isWanted(table, $0) }
            }
            guard let piece else { return Array(found.values) }
            // What was moved meanwhile is seen twice, and the second time as it is now.
            for lease in piece { found[lease.key] = lease }
        }
    }

    /// See ``LeaseStoreClient/leaseEnded(_:upTo:)``.
    public nonisolated func leaseEnded(_ key: LeaseKey, upTo epoch: Epoch) {
        table.withLock { $0.ended(key, upTo: epoch) }
    }

    /// See ``LeaseStoreClient/trustChanged(to:)``.
    public nonisolated func trustChanged(to trust: MemoryTrust) {
        table.withLock { $0.trustChanged(to: trust) }
        guard trust == .onceChecked else { return }
        runtime.spawner.spawn("check copies") { await self.checkCopies() }
    }

    /// Holds every copy against the store: one that nobody asks for again must not stay for ever, and one that is asked
    /// for next should not have to wait (I6).
    func checkCopies() async {
        let unchecked = copies { table, lease in !table.isTrusted(lease) }
        _ = await inParallel(unchecked) { lease in _ = try? await self.isStillLeased(lease) }
    }

    // MARK: Ids of an earlier manager

    /// Takes a sandbox over that an earlier manager noted for the key, within the limits (L2).
    ///
    /// - Returns: Its lease, or whatever the key holds by now; `nil` if it is gone or another's.
    func claimUnverified(_ sandbox: SandboxID, _ key: LeaseKey) async throws(ManagerError) -> LeaseRecord? {
        guard let info = try await verified(sandbox, key) else { return nil }
        let reservation: Reservation
        switch try await reserve(key, until: runtime.time.now() + configuration.requestDeadline) {
        case .leased(let record): return record
        case .ours(let ours): reservation = ours
        }
        var claimed = record(of: info, labels(for: key, token: reservation.token, epoch: reservation.epoch))
        let asked = claimed
        let epoch = try await self.asked { () async throws(StoreError) in try await store.commit(asked) }
        // A release came in between; the sandbox is dying.
        guard let epoch else { throw .staleEpoch }
        claimed.epoch = epoch
        note(key, "taken over from an earlier manager: \(sandbox)")
        return claimed
    }

    /// Books a sandbox that an earlier manager noted for the key, so that it can be released; the limits do not count.
    ///
    /// - Returns: Whether the key holds something now.
    func bookUnverified(_ sandbox: SandboxID, _ key: LeaseKey) async throws(ManagerError) -> Bool {
        guard let info = try await verified(sandbox, key) else { return false }
        let labels = info.labels ?? labels(for: key, token: CreationToken(from: runtime.random), epoch: Epoch(0))
        let booked = record(of: info, labels)
        return try await asked { () async throws(StoreError) in try await store.adopt(booked) } != nil
    }

    private func labels(for key: LeaseKey, token: CreationToken, epoch: Epoch) -> SandboxLabels {
        SandboxLabels(key: key, token: token, environment: configuration.environment, epoch: epoch)
    }

    /// What the provider says of a noted sandbox; `nil` if it is gone, or its labels do not name the key, both parts
    /// of it (S2).
    private func verified(_ sandbox: SandboxID, _ key: LeaseKey) async throws(ManagerError) -> SandboxInfo? {
        let found = try await called { () async throws(ProviderError) in try await provider.info(sandbox) }
        guard let info = found else { return nil }
        let isOurs = info.labels.map { $0.key == key && $0.environment == configuration.environment } ?? true
        guard isOurs, info.metadata["user_id"] == key.user, info.metadata["project_id"] == key.project else {
            observer.ownershipMismatched()
            log.error("a noted sandbox carries another owner's labels", metadata: ["key": "\(key)"])
            note(key, "owner mismatch: the noted sandbox is not touched")
            return nil
        }
        return info
    }

    // MARK: Uses

    private static let usesAtOnce = 64

    /// Tells the store of uses, often enough that no other replica thinks a lease idle that is used here (I7).
    func tellUses() async {
        var lastTold = runtime.time.now()
        while !Task.isCancelled {
            // A lease with a short timeout may be used at any time.
            await runtime.time.sleep(for: min(.seconds(1), max(.milliseconds(100), configuration.idleTimeout / 8)))
            let now = runtime.time.now()
            guard !Task.isCancelled, let shortest = table.withLock({ $0.shortestUsedTimeout }),
                now - lastTold >= shortest / 8
            else { continue }
            lastTold = now
            try? await flushUses()
        }
    }

    /// Tells the store of every use since the last time.
    func flushUses() async throws(ManagerError) {
        let now = runtime.time.now()
        // A few at a time: the hot path waits for no more than that.
        let keys = Array(table.withLock { $0.takeUsed() })
        let uses = stride(from: 0, to: keys.count, by: Self.usesAtOnce).flatMap { start in
            table.withLock { $0.uses(of: keys[start..<min(start + Self.usesAtOnce, keys.count)], now: now) }
        }
        do throws(StoreError) {
            try await store.touch(uses)
        } catch {
            // The next round tells of them.
            table.withLock { $0.undrain(uses) }
            throw .storeUnavailable(error.detail)
        }
    }
}
