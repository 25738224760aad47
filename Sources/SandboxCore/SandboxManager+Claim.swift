internal import Logging
internal import Synchronization

// Taking from the warm pool: the third way of an acquire, after memory and store, before a creation.

extension SandboxManager {
    /// Members that turn out to be worth nothing before an acquire gives up on the pool.
    private static let claimAttempts = 2

    /// Whether a member of the pool is what a creation with these wishes would make.
    ///
    /// A longer idle timeout than the members' is not: an extension of the filler that overlaps with a claim must never
    /// shorten the life that the claim gave.
    func suitsPool(_ options: AcquireOptions) -> Bool {
        options.metadata.isEmpty && options.environment.isEmpty
            && options.template ?? configuration.template == configuration.template
            && options.idleTimeout ?? .zero <= configuration.idleTimeout
    }

    /// A member of the pool as the lease of `key`; `nil` if something else has to be tried.
    func grantFromPool(
        _ key: LeaseKey,
        _ options: AcquireOptions,
        _ ticket: UserLockTable.Ticket
    ) async throws(ManagerError) -> Grant? {
        guard configuration.warmPool.target > 0, suitsPool(options) else { return nil }
        let request = WarmClaimRequest(
            key: key,
            template: configuration.template,
            perUser: configuration.limits.perUser,
            leastLife: min(.seconds(30), configuration.idleTimeout / 2),
            idleTimeout: options.idleTimeout ?? configuration.idleTimeout
        )
        for _ in 0..<Self.claimAttempts {
            // A release that ran while the flight looked elsewhere has the last word (O7).
            guard !locks.isFenced(key, ticket) else { throw .staleEpoch }
            let round = table.withLock { $0.trustRound }
            let outcome = try await phase(.warmClaim) { () async throws(ManagerError) in
                try await asked { () async throws(StoreError) in try await store.claimWarm(request) }
            }
            switch outcome {
            case .refused:
                return nil
            case .empty:
                observer.warmPoolClaimed(.miss)
                return nil
            case .claimed(let record):
                note(key, "claimed from the warm pool: \(record.sandbox.id), epoch \(record.epoch)")
                var isWorthIt = false
                defer { observer.warmPoolClaimed(isWorthIt ? .hit : .stale) }
                guard let lease = try await begin(record, ticket, vouchedIn: round) else { continue }
                isWorthIt = true
                log.info("gave a warm sandbox", metadata: ["key": "\(key)", "sandbox": "\(record.sandbox.id)"])
                return grant(lease, .warmPool)
            }
        }
        return nil
    }

    /// Begins the lease of a claimed member: probed, and with a full idle timeout before it.
    ///
    /// - Returns: `nil` if the sandbox is gone.
    private func begin(
        _ record: LeaseRecord,
        _ ticket: UserLockTable.Ticket,
        vouchedIn round: Int
    ) async throws(ManagerError) -> Lease? {
        var lease = Lease(record, now: runtime.time.now())
        lease.vouchedIn = round
        // Nobody is handed it before a probe ended well.
        lease.isSuspect = true
        do throws(ManagerError) {
            try admit(lease, ticket)
        } catch {
            // The release reached the store before the claim did: nobody was told of this sandbox.
            try await end(lease, .fenced)
            throw error
        }
        guard let alive = try await verify(lease) else { return nil }
        let now = runtime.time.now()
        guard alive.remoteExpiry - now < alive.idleTimeout else { return alive }
        let extended = await Result.catching { () async throws(ManagerError) in try await extend(alive) }
        switch extended {
        case .success(.moved): return table.withLock { $0[record.key] } ?? alive
        case .success(.gone): throw .gone
        case .success(.stale): throw .staleEpoch
        // It lives a while yet, and the extender tries again.
        case .failure: return alive
        }
    }
}
