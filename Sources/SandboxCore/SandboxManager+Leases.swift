internal import Synchronization

// What can be asked of and done with a lease once there is one.

/// A lease as it is described to callers.
public struct LeaseDescription: Sendable, Hashable {
    /// The lease as the store keeps it.
    public var record: LeaseRecord
    /// When it was last used.
    public var lastUsedAt: WallTime
    /// When its sandbox ends unless it is used.
    public var expiresAt: WallTime
}

extension SandboxManager {
    /// Describes the lease of `key`; changes nothing at the provider.
    ///
    /// - Throws: `.notFound` without a lease.
    public func describe(_ key: LeaseKey) async throws(ManagerError) -> LeaseDescription {
        try await measured(.describe) { () async throws(ManagerError) in
            guard let found = try await description(of: key) else { throw .notFound }
            return found
        }
    }

    /// Counts as use, and moves the remote expiry to the lease's full life.
    ///
    /// - Throws: `.notFound` without a lease; provider errors leave the lease as it was.
    public func keepalive(_ key: LeaseKey) async throws(ManagerError) -> LeaseDescription {
        try await measured(.keepalive) { () async throws(ManagerError) in
            try refuseWhenDraining()
            return try await exclusively(key, for: .keepalive) { () async throws(ManagerError) in
                guard let lease = try await known(key) else { throw .notFound }
                let now = runtime.time.now()
                table.withLock { _ = $0.recordUse(key, epoch: lease.epoch, now: now) }
                await tellUse(of: lease)
                if !lease.isPaused, try await extend(lease) == .gone { throw .gone }
                guard let found = try await description(of: key) else { throw .notFound }
                return found
            }
        }
    }

    /// Stops the sandbox and keeps its state and its slot.
    ///
    /// - Throws: `.notFound` without a lease, `.unsupported` where the provider cannot pause.
    public func pause(_ key: LeaseKey) async throws(ManagerError) -> LeaseDescription {
        try await measured(.pause) { () async throws(ManagerError) in
            try refuseWhenDraining()
            guard provider.provider.capabilities.canPause else {
                throw .unsupported("the \(providerName) provider cannot pause sandboxes")
            }
            return try await exclusively(key, for: .pause) { () async throws(ManagerError) in
                guard let lease = try await known(key) else { throw .notFound }
                // From here on nobody is handed the lease without waiting for this to end (K5).
                table.withLock { $0.suspect(key, epoch: lease.epoch) }
                do throws(ProviderError) {
                    try await provider.pause(lease.sandbox.id)
                } catch {
                    guard error.kind != .gone else {
                        try await forget(lease)
                        throw .gone
                    }
                    throw ManagerError(error)
                }
                let life = configuration.pausedMaxAge
                let now = runtime.time.now()
                table.withLock { $0.pause(key, epoch: lease.epoch, expiry: now + life) }
                let isRecorded = try await asked { () async throws(StoreError) in
                    try await store.setPaused(key, epoch: lease.epoch, paused: true, remaining: life)
                }
                guard isRecorded, let found = try await description(of: key) else {
                    drop(lease)
                    throw .staleEpoch
                }
                note(key, "paused")
                return found
            }
        }
    }

    /// Runs a command in the sandbox of `key`. Holds no user lock; the lease is in use until the command ends.
    ///
    /// - Throws: `.notFound` without a lease, `.gone` when the sandbox ended.
    public func exec(_ key: LeaseKey, _ request: ExecRequest) async throws(ManagerError) -> ExecResult {
        try await measured(.exec) { () async throws(ManagerError) in
            try refuseWhenDraining()
            guard let lease = try await known(key) else { throw .notFound }
            let started = runtime.time.now()
            guard table.withLock({ $0.beginUse(key, epoch: lease.epoch, now: started) }) else { throw .notFound }
            await tellUse(of: lease)
            defer {
                let now = runtime.time.now()
                table.withLock { $0.endUse(key, epoch: lease.epoch, now: now) }
            }
            do throws(ProviderError) {
                return try await provider.exec(lease.sandbox, request)
            } catch {
                // The next acquire probes first; the word of one failed command is not enough to end a lease.
                if error.kind == .gone { table.withLock { $0.suspect(key, epoch: lease.epoch) } }
                if error.kind == .cancelled { throw .cancelled }
                throw ManagerError(error)
            }
        }
    }

    /// Leases in the order of their keys.
    ///
    /// - Parameters:
    ///   - user: Only this user's, if given.
    ///   - limit: 1 to 1,000.
    ///   - cursor: Where the last page ended.
    /// - Returns: The leases of the page, and where to go on; no cursor on the last page.
    /// - Throws: `.invalidArgument` for a limit out of bounds, `.storeUnavailable`.
    public func list(
        user: String?,
        limit: Int,
        after cursor: String?
    ) async throws(ManagerError) -> (leases: [LeaseDescription], cursor: String?) {
        try await measured(.list) { () async throws(ManagerError) in
            guard (1...1000).contains(limit) else { throw .invalidArgument("limit must be between 1 and 1000") }
            let page = try await asked { () async throws(StoreError) in
                try await store.list(user: user, limit: limit, after: cursor)
            }
            return (page.leases.map { described($0) }, page.cursor)
        }
    }

    /// Totals since the start, and sizes now.
    public func stats() async throws(ManagerError) -> (totals: ManagerStatistics, gauges: ManagerGauges) {
        try await measured(.stats) { () async throws(ManagerError) in (counters.current, gauges()) }
    }

    // MARK: Shared pieces

    /// What an extension came to.
    enum Extension {
        case moved, gone, stale
    }

    /// Moves the remote expiry to the lease's full life; the store learns of it only after the provider said yes.
    func extend(_ lease: Lease) async throws(ManagerError) -> Extension {
        let life = life(of: lease)
        let granted: Duration
        do throws(ProviderError) {
            granted = try await provider.extend(lease.sandbox.id, life: life)
        } catch {
            guard error.kind == .gone else { throw ManagerError(error) }
            // "Not running" is no proof of death: the next acquire asks.
            table.withLock { $0.suspect(lease.key, epoch: lease.epoch) }
            return .gone
        }
        let now = runtime.time.now()
        table.withLock { $0.extend(lease.key, epoch: lease.epoch, expiry: now + granted, now: now) }
        let isRecorded = try await asked { () async throws(StoreError) in
            try await store.extend(lease.key, epoch: lease.epoch, remaining: granted)
        }
        guard isRecorded else {
            drop(lease)
            return .stale
        }
        return .moved
    }

    /// The lease in memory, or the one in the store, which is then put into memory.
    func known(_ key: LeaseKey) async throws(ManagerError) -> Lease? {
        if let lease = table.withLock({ $0[key] }), try await isStillLeased(lease) {
            return table.withLock { $0[key] }
        }
        let round = table.withLock { $0.trustRound }
        guard case .lease(let record) = try await asked({ () async throws(StoreError) in try await store.lookup(key) })
        else { return nil }
        var lease = Lease(record, now: runtime.time.now())
        lease.vouchedIn = round
        // Found, but not seen to live: the next acquire probes it.
        lease.isSuspect = true
        table.withLock { _ = $0.insert(lease) }
        // Insert, then look again: a release ends the lease in the store before it empties memory, so one of the two
        // sees the other (K8).
        guard
            case .lease(let current) = try await asked({ () async throws(StoreError) in try await store.lookup(key) }),
            current.epoch == lease.epoch
        else {
            table.withLock { _ = $0.remove(key, epoch: lease.epoch) }
            return nil
        }
        return table.withLock { $0[key] }
    }

    /// Runs `body` while nobody else works on `key`.
    func exclusively<Value>(
        _ key: LeaseKey,
        for operation: Operation,
        _ body: () async throws(ManagerError) -> Value
    ) async throws(ManagerError) -> Value {
        let deadline = runtime.time.now() + configuration.requestDeadline
        let entrance = try await locks.enter(key, .exclusive, for: operation, until: deadline)
        guard case .granted(let ticket) = entrance else {
            throw .internal("an exclusive caller was given a shared outcome")
        }
        defer { locks.finish(key, ticket) }
        return try await body()
    }

    private func description(of key: LeaseKey) async throws(ManagerError) -> LeaseDescription? {
        guard case .lease(let record) = try await asked({ () async throws(StoreError) in try await store.lookup(key) })
        else { return nil }
        return described(record)
    }

    /// Memory knows the last use better than the store, which is told in batches.
    func described(_ record: LeaseRecord) -> LeaseDescription {
        var record = record
        let now = runtime.time.now()
        let wallNow = runtime.time.wallNow()
        if let lease = table.withLock({ $0[record.key] }), lease.epoch == record.epoch {
            record = lease.record(now: now)
        }
        return LeaseDescription(
            record: record,
            lastUsedAt: wallNow - record.idle,
            expiresAt: wallNow + record.sandbox.remainingLife
        )
    }
}
