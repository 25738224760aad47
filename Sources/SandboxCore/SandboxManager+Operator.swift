internal import Logging
internal import Synchronization

// What an operator may tell a running manager. Each says in the log, once, that something changed.

extension SandboxManager {
    /// Whether an operator wants no sandbox to be made.
    public nonisolated var areCreationsStopped: Bool { creationsStopped.load(ordering: .sequentiallyConsistent) }

    /// From now on no creation begins; leases that exist are served as before. Creations under way end as they may.
    public nonisolated func stopCreations() {
        guard !creationsStopped.exchange(true, ordering: .sequentiallyConsistent) else { return }
        log.notice("an operator stopped creations")
    }

    /// Ends ``stopCreations()``.
    public nonisolated func resumeCreations() {
        guard creationsStopped.exchange(false, ordering: .sequentiallyConsistent) else { return }
        log.notice("an operator resumed creations")
    }

    /// Refuses new work from now on, as a shutdown does; the process and the leases go on. There is no way back.
    public nonisolated func drain() {
        guard !draining.exchange(true, ordering: .sequentiallyConsistent) else { return }
        log.notice("an operator drains this manager")
    }

    func refuseWhenCreationsStopped(_ key: LeaseKey) throws(ManagerError) {
        guard areCreationsStopped else { return }
        note(key, "refused: an operator stopped creations")
        counters.rejected.increment()
        throw .creationsStopped
    }
}
