/// What the provider's bill is made of: time that sandboxes ran, by what they ran for. A value: what a comparison of books
/// and provider saw goes in, the time since the last one comes out.
struct SandboxBill {
    /// A lease whose last use is longer ago than this is paid for without being used.
    static let busyFor: Duration = .seconds(60)

    private var lastAt: MonotonicInstant?

    /// Shares the time since the last comparison out among what ran now.
    ///
    /// - Parameters:
    ///   - running: How many sandboxes ran, by use.
    ///   - longest: More than this is not counted: somebody else did meanwhile, or nobody can tell what ran.
    ///   - now: When the provider was asked.
    /// - Returns: Time to add, by use; none the first time.
    mutating func settle(
        _ running: [SandboxUse: Int],
        atMost longest: Duration,
        now: MonotonicInstant
    ) -> [SandboxUse: Duration] {
        defer { lastAt = now }
        guard let lastAt else { return [:] }
        let passed = min(now - lastAt, longest)
        return running.mapValues { passed * $0 }
    }

    /// Another replica counts: the next time here counts from then on.
    mutating func pause() { lastAt = nil }

    /// What the running sandboxes run for.
    ///
    /// - Parameters:
    ///   - running: What the provider lists as running.
    ///   - leases: For how long the sandboxes that are leased were not used.
    ///   - usage: What the books hold.
    /// - Returns: How many run, by use.
    static func uses(
        of running: [SandboxID],
        leases: [SandboxID: Duration],
        usage: StoreUsage
    ) -> [SandboxUse: Int] {
        var uses: [SandboxUse: Int] = [:]
        var others = 0
        for sandbox in running {
            switch leases[sandbox] {
            case let idle? where idle <= busyFor: uses[.leasedBusy, default: 0] += 1
            case .some: uses[.leasedIdle, default: 0] += 1
            case nil: others += 1
            }
        }
        // The rest waits in the pool, is about to die, or is being made and nobody's yet.
        let warm = min(others, usage.warm)
        let killing = min(others - warm, usage.outbox)
        if warm > 0 { uses[.warm] = warm }
        if killing > 0 { uses[.killing] = killing }
        return uses
    }
}
