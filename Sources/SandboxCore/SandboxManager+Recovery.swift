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

    /// - Returns: Whether a listing succeeded and the books agree with it.
    func takeOverEverything() async -> Bool {
        let began = runtime.time.now()
        // What is lost after this is not in the listing's account.
        let edition = store.edition
        let filter = SandboxFilter.environment(configuration.environment)
        let listed = await Result.catching { () async throws(ProviderError) in try await provider.list(filter) }
        guard case .success(let found) = listed else { return false }
        // Who used a sandbox of the warm pool since it was made, its labels do not tell: nobody gets it (I5).
        let ours = found.filter { $0.labels.map { !$0.key.isWarm } ?? false }
        let byKey = Dictionary(grouping: ours, by: \.labels?.key)
        for (key, sandboxes) in byKey {
            // Books of this process alone would count the sandboxes of all replicas.
            guard store.mode != .degraded else { return false }
            guard let key, await takeOver(sandboxes, key) else { return false }
        }
        guard await forgetAbsent(Set(found.map(\.sandbox.id)), listedAt: began) else { return false }
        guard (try? await store.markComplete(edition)) != nil else { return false }
        hasRecovered.store(true, ordering: .releasing)
        log.notice("took over what was running", metadata: ["sandboxes": "\(found.count)"])
        return true
    }

    /// An older state of a store calls leased what has died since: such leases are ended on the provider's word (I4).
    ///
    /// - Returns: Whether all leases could be looked at.
    private func forgetAbsent(_ listed: Set<SandboxID>, listedAt: MonotonicInstant) async -> Bool {
        var cursor: String?
        repeat {
            let after = cursor
            guard let page = try? await store.list(user: nil, limit: 256, after: after) else { return false }
            cursor = page.cursor
            let now = runtime.time.now()
            // One that was made since cannot be in the listing.
            let missing = page.leases.filter { !listed.contains($0.sandbox.id) && $0.age > now - listedAt }
            let settled = await inParallel(missing) { record in
                let found = await Result.catching { () async throws(ProviderError) in
                    try await self.provider.info(record.sandbox.id)
                }
                guard case .success(let info) = found else { return false }
                guard info == nil else { return true }
                let lease = Lease(record, now: self.runtime.time.now())
                let ended = await Result.catching { () async throws(ManagerError) in
                    try await self.measured(.reconcile) { () async throws(ManagerError) in
                        try await self.forget(lease)
                    }
                }
                if case .failure = ended { return false }
                return true
            }
            guard settled.allSatisfy({ $0 }) else { return false }
        } while cursor != nil
        return true
    }

    /// Takes over what the provider runs for the key and the store cannot know yet. Sandboxes whose creation is in the
    /// books are left alone, so that it needs no lock.
    func lookUpAtProvider(_ key: LeaseKey) async throws(ManagerError) {
        guard !isKnowledgeComplete else { return }
        // Creating without having looked could make a second sandbox for the key.
        _ = try await adoptListed(key)
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
        try await adopt(found, key)
        return !found.isEmpty
    }

    /// - Returns: `false` if the provider could not say what became of them, or the store could not be asked.
    private func takeOver(_ sandboxes: [SandboxInfo], _ key: LeaseKey) async -> Bool {
        // Whoever works on the key has looked by themselves before they create.
        guard let ticket = locks.tryHold(key) else { return true }
        defer { locks.finish(key, ticket) }
        let adopted = await Result.catching { () async throws(ManagerError) in
            try await measured(.reconcile) { () async throws(ManagerError) in try await adopt(sandboxes, key) }
        }
        if case .failure = adopted { return false }
        return true
    }

    /// The newest sandbox becomes the key's lease; older ones are nobody's.
    ///
    /// - Throws: When the provider cannot say whether one of them still lives, or the store cannot be asked.
    private func adopt(_ sandboxes: [SandboxInfo], _ key: LeaseKey) async throws(ManagerError) {
        let owned =
            sandboxes
            .compactMap { info in info.labels.map { (info, $0) } }
            .filter { $0.1.key == key && $0.1.environment == configuration.environment }
            .sorted { $0.1.epoch > $1.1.epoch }
        for (listed, labels) in owned {
            // What has a slot is in the books already. What has none was either never in them, or is confirmed dead
            // since the listing: only a look after that question tells the two apart.
            guard try await !isTaken(labels.token), let info = try await stillThere(listed.sandbox.id) else { continue }
            let found = record(of: info, labels)
            let epoch = try await asked { () async throws(StoreError) in try await store.adopt(found) }
            if let epoch {
                note(key, "taken over: \(info.sandbox.id), epoch \(epoch)")
            } else if try await !isTaken(labels.token) {
                // Not merely put back by its own replica since the first look: the key holds another sandbox.
                note(key, "superseded: \(info.sandbox.id)")
                let ticket = KillTicket(sandbox: info.sandbox.id, token: nil, key: key, reason: .orphan)
                try await asked { () async throws(StoreError) in try await store.enqueueKill(ticket) }
            }
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
