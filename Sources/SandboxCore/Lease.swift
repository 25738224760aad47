/// A lease as this process holds it: all instants are on its own monotonic clock (T13).
struct Lease: Sendable {
    let key: LeaseKey
    var epoch: Epoch
    let token: CreationToken
    var sandbox: ProviderSandbox
    let createdAt: WallTime
    let created: MonotonicInstant
    /// When the sandbox was started or last resumed; the lease's age counts from here.
    var runningSince: MonotonicInstant
    var remoteExpiry: MonotonicInstant
    /// When the expiry was last moved by this process; `nil` for a lease that it found.
    var lastMoved: MonotonicInstant?
    var idleTimeout: Duration
    var isPaused: Bool
    var lastUsed: MonotonicInstant
    /// The last successful probe; a creation counts as one.
    var lastProbe: MonotonicInstant
    /// Somebody reported it ill: not handed out again without a probe.
    var isSuspect = false
    /// A probe behind an answer is under way.
    var isProbing = false
    /// Commands running inside right now.
    var activeUses = 0
    /// The round of trust in which the store vouched for this copy.
    var vouchedIn = 0
    var health = HealthHistory()

    /// When the sandbox ends unless it is used; from the monotonic expiry, so that a clock step does not move it.
    var expiresAt: WallTime { createdAt + (remoteExpiry - created) }

    /// The record that a store keeps of this lease.
    func record(now: MonotonicInstant) -> LeaseRecord {
        var sandbox = sandbox
        sandbox.remainingLife = remoteExpiry - now
        return LeaseRecord(
            key: key,
            epoch: epoch,
            token: token,
            sandbox: sandbox,
            createdAt: createdAt,
            age: now - created,
            idle: activeUses > 0 ? .zero : now - lastUsed,
            idleTimeout: idleTimeout,
            isPaused: isPaused
        )
    }
}

extension Lease {
    /// The lease that a store's record describes.
    init(_ record: LeaseRecord, now: MonotonicInstant) {
        key = record.key
        epoch = record.epoch
        token = record.token
        sandbox = record.sandbox
        createdAt = record.createdAt
        created = now - record.age
        runningSince = created
        remoteExpiry = now + record.sandbox.remainingLife
        idleTimeout = record.idleTimeout
        isPaused = record.isPaused
        lastUsed = now - record.idle
        lastProbe = now
    }
}

/// What an acquire hands out.
public struct Grant: Sendable, Hashable {
    /// Whose sandbox.
    public let key: LeaseKey
    /// The lease's generation.
    public let epoch: Epoch
    /// How this request was served.
    public let source: AcquireSource
    /// How to reach the sandbox.
    public let sandbox: ProviderSandbox
    /// When the sandbox was made.
    public let createdAt: WallTime
    /// When it ends unless it is used.
    public let expiresAt: WallTime
    /// Whether the lease is in the last minutes of its greatest age.
    public let endsSoon: Bool

    /// The same sandbox, for somebody who only joined.
    func joined() -> Grant {
        Grant(
            key: key,
            epoch: epoch,
            source: .memory,
            sandbox: sandbox,
            createdAt: createdAt,
            expiresAt: expiresAt,
            endsSoon: endsSoon
        )
    }
}
