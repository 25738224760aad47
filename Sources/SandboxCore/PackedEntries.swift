// How leases lie in the tables: each value once, and times in whole nanoseconds. Everything else works on the forms
// that say more.

/// An entry of the lease table.
struct PackedLease: DenseEntry {
    let key: LeaseKey
    private let epoch: Epoch
    private let token: CreationToken
    private let sandbox: ProviderSandbox.Access
    private let remainingLife: Int64
    private let createdAt: WallTime
    private let created: MonotonicInstant
    private let runningSince: MonotonicInstant
    private let remoteExpiry: MonotonicInstant
    private let idleTimeout: Int64
    private let lastUsed: MonotonicInstant
    private let lastProbe: MonotonicInstant
    private let vouchedIn: Int
    private let health: HealthHistory
    private let lastMoved: MonotonicInstant?
    private let isPaused: Bool
    private let isSuspect: Bool
    private let isProbing: Bool
    private let activeUses: Int32

    init(_ key: LeaseKey, _ lease: Lease) {
        self.key = key
        epoch = lease.epoch
        token = lease.token
        sandbox = lease.sandbox.access
        remainingLife = lease.sandbox.remainingLife.wholeNanoseconds
        createdAt = lease.createdAt
        created = lease.created
        runningSince = lease.runningSince
        remoteExpiry = lease.remoteExpiry
        idleTimeout = lease.idleTimeout.wholeNanoseconds
        lastUsed = lease.lastUsed
        lastProbe = lease.lastProbe
        vouchedIn = lease.vouchedIn
        health = lease.health
        lastMoved = lease.lastMoved
        isPaused = lease.isPaused
        isSuspect = lease.isSuspect
        isProbing = lease.isProbing
        activeUses = Int32(lease.activeUses)
    }

    var value: Lease {
        Lease(
            key: key,
            epoch: epoch,
            token: token,
            sandbox: ProviderSandbox(sandbox, remainingLife: .nanoseconds(remainingLife)),
            createdAt: createdAt,
            created: created,
            runningSince: runningSince,
            remoteExpiry: remoteExpiry,
            lastMoved: lastMoved,
            idleTimeout: .nanoseconds(idleTimeout),
            isPaused: isPaused,
            lastUsed: lastUsed,
            lastProbe: lastProbe,
            isSuspect: isSuspect,
            isProbing: isProbing,
            activeUses: Int(activeUses),
            vouchedIn: vouchedIn,
            health: health
        )
    }
}

/// What the ledger holds for a key.
struct PackedHolding: DenseEntry {
    private struct Kept {
        let epoch: Epoch
        let token: CreationToken
        let sandbox: ProviderSandbox.Access
        let createdAt: WallTime
        let created: MonotonicInstant
        let lastUsed: MonotonicInstant
        let remoteExpiry: MonotonicInstant
        let idleTimeout: Int64
        let isPaused: Bool
    }

    private enum Content {
        case reservation(CreationToken)
        case lease(Kept)
    }

    let key: LeaseKey
    private let content: Content

    init(_ key: LeaseKey, _ holding: StoreLedger.Holding) {
        self.key = key
        switch holding {
        case .reservation(let token):
            content = .reservation(token)
        case .lease(let kept):
            content = .lease(
                Kept(
                    epoch: kept.record.epoch,
                    token: kept.record.token,
                    sandbox: kept.record.sandbox.access,
                    createdAt: kept.record.createdAt,
                    created: kept.created,
                    lastUsed: kept.lastUsed,
                    remoteExpiry: kept.remoteExpiry,
                    idleTimeout: kept.record.idleTimeout.wholeNanoseconds,
                    isPaused: kept.record.isPaused
                )
            )
        }
    }

    /// The durations of a lease's record count from no moment: ``StoreLedger/Kept/current(now:)`` sets them.
    var value: StoreLedger.Holding {
        switch content {
        case .reservation(let token):
            return .reservation(token)
        case .lease(let kept):
            let record = LeaseRecord(
                key: key,
                epoch: kept.epoch,
                token: kept.token,
                sandbox: ProviderSandbox(kept.sandbox, remainingLife: .zero),
                createdAt: kept.createdAt,
                age: .zero,
                idle: .zero,
                idleTimeout: .nanoseconds(kept.idleTimeout),
                isPaused: kept.isPaused
            )
            return .lease(
                StoreLedger.Kept(
                    record: record,
                    created: kept.created,
                    lastUsed: kept.lastUsed,
                    remoteExpiry: kept.remoteExpiry
                )
            )
        }
    }
}

/// Who has a slot.
struct PackedSlot: DenseEntry {
    let key: CreationToken
    let value: LeaseKey

    init(_ token: CreationToken, _ holder: LeaseKey) {
        key = token
        value = holder
    }
}

/// The slots of a user.
struct PackedUser: DenseEntry {
    let key: String
    let value: StoreLedger.UserSlots

    init(_ user: String, _ slots: StoreLedger.UserSlots) {
        key = user
        value = slots
    }
}
