internal import Logging
internal import Synchronization

// A creation whose owner died or hangs: its key is still reserved, and others wait for it.

extension SandboxManager {
    /// Finishes another's creation by its token: what it made becomes the lease; if nothing is to be seen, the key is
    /// let go, and whatever shows up later is killed.
    ///
    /// - Returns: Whether the intent is closed.
    func takeOver(_ intent: Intent, _ found: [SandboxInfo]) async throws(ManagerError) -> Bool {
        let owned = found.filter { isOwned($0, by: intent.key) && $0.labels != nil }
        guard let first = owned.first else {
            try await asked { () async throws(StoreError) in
                try await store.detachIntent(intent.key, token: intent.token)
            }
            note(intent.key, "a creation was given up by its owner: \(intent.token)")
            return false
        }
        // A listing has no access tokens; without them nobody can use the sandbox.
        let complete = try await called { () async throws(ProviderError) in try await provider.info(first.sandbox.id) }
        guard let complete, let labels = complete.labels ?? first.labels else { return false }
        var record = record(of: complete, labels)
        record.epoch = intent.epoch
        let committed = record
        let epoch = try await asked { () async throws(StoreError) in try await store.commit(committed) }
        for surplus in owned.dropFirst() { await condemn(surplus.sandbox.id, intent.key) }
        observer.ambiguityResolved(epoch == nil ? .killed : .adopted)
        note(intent.key, "took over a creation of another replica: \(complete.sandbox.id)")
        log.notice(
            "took over a creation of another replica",
            metadata: ["key": "\(intent.key)", "sandbox": "\(complete.sandbox.id)"]
        )
        return true
    }
}
