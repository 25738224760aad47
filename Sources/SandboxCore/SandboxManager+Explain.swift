internal import Synchronization

extension SandboxManager {
    /// Why a key is in its state. Asks the store, never the provider, and changes nothing.
    ///
    /// The parts are read one after the other: while the key is being worked on they may be of different moments.
    public func explain(_ key: LeaseKey) async throws(ManagerError) -> KeyExplanation {
        try await measured(.explain) { () async throws(ManagerError) in
            let entry = try await asked { () async throws(StoreError) in try await store.lookup(key) }
            let account = try await asked { () async throws(StoreError) in try await store.account(of: key) }
            let now = runtime.time.now()
            let copy = table.withLock { $0[key] }
            let events = recorder.withLock { $0.events(of: key) }
            var explanation = KeyExplanation(
                at: runtime.time.wallNow(),
                isInMemory: copy != nil,
                slots: KeyExplanation.Slots(limits: configuration.limits),
                storeMode: store.mode,
                events: events.map { KeyExplanation.Event(at: $0.at, text: $0.text) }
            )
            switch entry {
            case .lease(let record): explanation.lease = described(record)
            case .reservation(let record): explanation.reservation = record
            case .unverified(let sandbox): explanation.unverified = sandbox
            case nil: break
            }
            explanation.lock = locks.hold(of: key)
            explanation.probe = copy.flatMap { probe(of: $0, now: now) }
            explanation.slots.user = account.userSlots
            explanation.slots.userReleasing = account.userReleasing
            explanation.slots.total = store.usage().slots
            explanation.intents = account.intents
            explanation.kills = account.kills
            explanation.nextCreation = rates.withLock { $0.wait(of: key.user, now: now) }
            explanation.providerPause = pacer.withLock { $0.refusal(now: now)?.retryAfter } ?? .zero
            explanation.breaker = provider.breakerState()
            explanation.isDraining = isDraining
            explanation.areCreationsStopped = areCreationsStopped
            return explanation
        }
    }

    private func probe(of lease: Lease, now: MonotonicInstant) -> KeyExplanation.Probe? {
        lease.health.last.map { last in
            KeyExplanation.Probe(
                verdict: last.verdict,
                age: now - last.at,
                sickInARow: lease.health.consecutiveSick,
                silentInARow: lease.health.consecutiveSilent
            )
        }
    }
}
