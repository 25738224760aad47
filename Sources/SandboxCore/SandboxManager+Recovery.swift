internal import Logging
internal import Synchronization

// After a start with an empty memory: sandboxes of ours may still run at a provider that outlives the process. They are
// found, taken over and leased to their owners again, so that nobody pays for a second one (I3, I10).

extension SandboxManager {
    /// How long other replicas have to put back what they know before the provider is listed.
    private static let othersRestore: Duration = .milliseconds(1500)

    /// Whether everything that runs is in the books: if not, sandboxes may live that the store does not know of.
    var isKnowledgeComplete: Bool {
        guard provider.provider.capabilities.outlivesProcess else { return true }
        return store.mode == .memory ? hasRecovered.load(ordering: .acquiring) : store.isComplete
    }

    /// Which books calls go to.
    struct Books: Equatable {
        var edition: BooksEdition
        var mode: StoreMode
    }

    /// Right now. What was known of others says nothing of these.
    var booksInForce: Books { Books(edition: store.edition, mode: store.mode) }

    /// Takes over everything of ours that the provider runs, whenever the books may lack something.
    func recover() async {
        var pause: Duration = .seconds(1)
        while !Task.isCancelled {
            // While a shared store is away, each key is looked up before something is created for it; that is enough.
            let isNeeded = !isKnowledgeComplete && store.mode != .degraded
            if isNeeded {
                // Other replicas put back first what they know.
                if store.mode == .redis { await runtime.time.sleep(for: Self.othersRestore) }
                pause = await takeOverEverything() ? .seconds(1) : min(pause * 2, .seconds(30))
            } else if store.mode == .memory {
                return
            }
            await runtime.time.sleep(for: isNeeded ? pause : .milliseconds(500))
        }
    }

    /// - Returns: Whether a listing succeeded and the books agree with it. What is left over is watched by the reconciler.
    func takeOverEverything() async -> Bool {
        guard beginComparison() else { return false }
        defer { endComparison() }
        let compared = await Result.catching { () async throws(ManagerError) in try await compare() }
        guard case .success(let comparison) = compared else { return false }
        // Books of this process alone would count the sandboxes of all replicas.
        guard store.mode != .degraded else { return false }
        guard await adopt(comparison.strays).failed == 0 else { return false }
        // An older state of a store calls leased what has died since.
        guard await forget(comparison.missing).failed == 0 else { return false }
        guard (try? await store.markComplete(comparison.edition)) != nil else { return false }
        hasRecovered.store(true, ordering: .releasing)
        log.notice("took over what was running", metadata: ["sandboxes": "\(comparison.listed.count)"])
        return true
    }

    /// Takes over what the provider runs for the key and the store cannot know yet. Sandboxes whose creation is in the
    /// books are left alone, so that it needs no lock.
    func lookUpAtProvider(_ key: LeaseKey) async throws(ManagerError) {
        guard !isKnowledgeComplete else { return }
        // Creating without having looked could make a second sandbox for the key.
        _ = try await adoptListed(key)
    }

    /// The limits count what runs: while a listing is about to tell, a creation waits for it (I2). Not for ever: the key
    /// itself has been looked up.
    func waitForListing() async {
        let patience = runtime.time.now() + configuration.listingWait
        while !isKnowledgeComplete, store.mode != .degraded, !isDraining, runtime.time.now() < patience {
            await runtime.time.sleep(for: .milliseconds(20))
        }
    }

    /// The same where the books are believed to be complete: a failure to look changes nothing.
    ///
    /// - Returns: Whether something was found.
    func adoptFromProvider(_ key: LeaseKey) async -> Bool {
        guard provider.provider.capabilities.outlivesProcess else { return false }
        let found = await Result.catching { () async throws(ManagerError) in try await adoptListed(key) }
        return (try? found.get()) ?? false
    }

    private func adoptListed(_ key: LeaseKey) async throws(ManagerError) -> Bool {
        let found = try await called { () async throws(ProviderError) in
            try await provider.list(.key(key, environment: configuration.environment))
        }
        let adopted = try await adopt(found, key)
        // Whoever asks for the key waits: what else runs for it must not outlive this question.
        try await condemnSuperseded(found.filter { !adopted.contains($0.sandbox.id) }, key)
        return !found.isEmpty
    }

    /// - Returns: How many became leases; `nil` if the provider could not say what became of them, the store could not be
    ///   asked, or somebody works on the key before the books are complete.
    func takeOver(_ sandboxes: [SandboxInfo], _ key: LeaseKey) async -> Int? {
        guard store.mode != .degraded else { return nil }
        // Whoever works on the key looks by themselves before they create. Until the books are complete, that is: called
        // complete while they may still fail to look, the next one would create without having looked.
        guard let ticket = locks.tryHold(key) else { return isKnowledgeComplete ? 0 : nil }
        defer { locks.finish(key, ticket) }
        let adopted = await Result.catching { () async throws(ManagerError) in
            try await measured(.reconcile) { () async throws(ManagerError) in
                try await adopt(sandboxes, key).count
            }
        }
        return try? adopted.get()
    }

    /// The newest sandbox becomes the key's lease, unless it holds another.
    ///
    /// - Returns: Which became leases: one, or none.
    /// - Throws: When the provider cannot say whether one of them still lives, or the store cannot be asked.
    private func adopt(_ sandboxes: [SandboxInfo], _ key: LeaseKey) async throws(ManagerError) -> Set<SandboxID> {
        var adopted: Set<SandboxID> = []
        for (listed, labels) in owned(sandboxes, by: key) {
            // What has a slot is in the books already. What has none was either never in them, or is confirmed dead
            // since the listing: only a look after that question tells the two apart.
            guard try await !isTaken(labels.token), let info = try await stillThere(listed.sandbox.id) else { continue }
            let found = record(of: info, labels)
            let epoch = try await asked { () async throws(StoreError) in try await store.adopt(found) }
            guard let epoch else { continue }
            note(key, "taken over: \(info.sandbox.id), epoch \(epoch)")
            adopted.insert(info.sandbox.id)
        }
        return adopted
    }

    /// Those that were made for the key, the newest first.
    private func owned(_ sandboxes: [SandboxInfo], by key: LeaseKey) -> [(SandboxInfo, SandboxLabels)] {
        sandboxes
            .compactMap { info in info.labels.map { (info, $0) } }
            .filter { $0.1.key == key && $0.1.environment == configuration.environment }
            .sorted { $0.1.epoch > $1.1.epoch }
    }

    /// Condemns what is left of the key's sandboxes after one of them became its lease.
    private func condemnSuperseded(_ sandboxes: [SandboxInfo], _ key: LeaseKey) async throws(ManagerError) {
        for (info, labels) in owned(sandboxes, by: key) {
            // Not merely put back by its own replica since the first look: the key holds another sandbox.
            guard try await !isTaken(labels.token), try await stillThere(info.sandbox.id) != nil else { continue }
            note(key, "superseded: \(info.sandbox.id)")
            try await condemnOrphan(info)
        }
    }

    private func isTaken(_ token: CreationToken) async throws(ManagerError) -> Bool {
        try await asked { () async throws(StoreError) in try await store.isTaken(token) }
    }

    private func stillThere(_ sandbox: SandboxID) async throws(ManagerError) -> SandboxInfo? {
        try await called { () async throws(ProviderError) in try await provider.info(sandbox) }
    }

    func record(of info: SandboxInfo, _ labels: SandboxLabels) -> LeaseRecord {
        var sandbox = info.sandbox
        // A paused sandbox has no expiry at the provider; ours begins when we first see it.
        if info.state == .paused { sandbox.remainingLife = configuration.pausedMaxAge }
        return LeaseRecord(
            key: labels.key,
            epoch: labels.epoch,
            token: labels.token,
            sandbox: sandbox,
            createdAt: info.startedAt,
            // Age and expiry stay what they were (K6); when it was last used nobody knows any more.
            age: max(.zero, runtime.time.wallNow() - info.startedAt),
            idle: .zero,
            idleTimeout: configuration.idleTimeout,
            isPaused: info.state == .paused
        )
    }
}
