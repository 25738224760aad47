internal import Synchronization

/// One replica shares this store with nobody, and it is lost only together with its process.
extension MemoryLeaseStore: SharedLeaseStore {
    /// Nobody else writes here, so there is nothing to hear.
    public func observe(_ hear: @escaping @Sendable (StoreNotice) -> Void) {}

    /// Returns at once.
    public func listen() async {}

    /// Always the same incarnation, and always complete.
    public func attach() -> StoreAttachment { StoreAttachment(incarnation: "memory", isComplete: true) }

    /// Nothing to say, and nobody to say it to.
    public func beat() {}

    /// See ``SharedLeaseStore/restore(_:)-(LeaseRecord)``.
    public func restore(_ lease: LeaseRecord) -> RestoreOutcome {
        ledger.withLock { $0.restore(lease, now: time.now()) }
    }

    /// See ``SharedLeaseStore/restore(_:)-(RestoredIntent)``.
    public func restore(_ intent: RestoredIntent) {
        ledger.withLock { $0.restore(intent, now: time.now()) }
    }

    /// See ``SharedLeaseStore/restore(_:isDead:)``.
    public func restore(_ kill: KillTicket, isDead: Bool) {
        ledger.withLock { $0.restore(kill, isDead: isDead, now: time.now()) }
    }

    /// Does everything in one step.
    public func repair(from cursor: String?) -> RepairedSlots {
        ledger.withLock { $0.repair(now: time.now(), wallNow: time.wallNow()) }
    }

    /// It is complete anyway.
    public func markComplete(_ incarnation: String) {}

    /// Nothing to let go of.
    public func close() async {}
}
