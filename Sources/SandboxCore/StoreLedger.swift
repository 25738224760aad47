/// The truth of leases, slots, intents and the kill outbox, as a value: what Redis does in scripts is done here in
/// place.
///
/// A slot is named by the creation token that took it. It moves from reservation to lease to outbox, and is freed only
/// by ``confirmKilled(_:)``, ``forget(_:epoch:)``, ``abandon(_:token:)`` and an intent resolved as absent (I4).
struct StoreLedger {
    enum Holding {
        case reservation(CreationToken)
        case lease(Kept)
    }

    /// A lease, with its times as instants of this store's clock.
    struct Kept {
        var record: LeaseRecord
        var created: MonotonicInstant
        var lastUsed: MonotonicInstant
        var remoteExpiry: MonotonicInstant

        /// When somebody should look at it, and why.
        var due: (at: MonotonicInstant, reason: KillReason) {
            let idleEnd = lastUsed + record.idleTimeout
            // A paused sandbox is not idle: its owner put it away. Only its own limit ends it.
            if record.isPaused || remoteExpiry <= idleEnd { return (remoteExpiry, .expired) }
            return (idleEnd, .idle)
        }

        func current(now: MonotonicInstant) -> LeaseRecord {
            var record = record
            record.age = now - created
            record.idle = now - lastUsed
            record.sandbox.remainingLife = remoteExpiry - now
            return record
        }
    }

    struct OpenIntent {
        var key: LeaseKey
        var epoch: Epoch
        var owner: String
        var since: MonotonicInstant
        /// From when its age counts: late enough that every attempt of its creation had begun.
        var agesFrom: MonotonicInstant
        var dueAt: MonotonicInstant
    }

    struct Condemned {
        var ticket: KillTicket
        var since: MonotonicInstant
        var dueAt: MonotonicInstant
    }

    struct UserSlots {
        var taken = 0
        /// Slots whose sandbox is condemned, or will be as soon as it is made.
        var releasing: Set<CreationToken> = []
    }

    var holdings = DenseTable<PackedHolding>()
    /// The keys of leases, for listings.
    var leased = SortedKeys()
    var slots = DenseTable<PackedSlot>()
    var users = DenseTable<PackedUser>()
    /// How many users hold how many slots; the warm pool is none.
    var holders = SlotHistogram()
    var intents: [CreationToken: OpenIntent] = [:]
    var outbox: [SandboxID: Condemned] = [:]
    var alarms = AlarmQueue()
    var lastEpoch: Int64 = 0
    var activeCount = 0
    var pausedCount = 0
    /// Pool members that can be claimed.
    var members: Set<LeaseKey> = []
    /// Until then the pool gets no slot: the total limit refused somebody.
    var wantedUntil: MonotonicInstant?
}
