internal import Synchronization

// Letting go: a release fences the key, and a kill is repeated until it is confirmed.

/// How far a release has come.
public enum ReleaseProgress: Sendable, Hashable {
    /// Nothing of the key lives any more.
    case released
    /// The sandbox is still dying; the outbox goes on with it.
    case releasing
}

extension SandboxManager {
    /// Ends the lease of `key`, and whatever is being created for it.
    ///
    /// - Returns: `.released` once the death is confirmed or when there was nothing; `.releasing` if that takes longer
    ///   than ``ManagerConfiguration/releaseWait``.
    public func release(_ key: LeaseKey) async throws(ManagerError) -> ReleaseProgress {
        try await measured(.release) { () async throws(ManagerError) in
            try refuseWhenDraining()
            let patience = runtime.time.now() + configuration.releaseWait
            // What ran before this process is released too, not only what it knows.
            try await lookUpAtProvider(key)
            let before = table.withLock { $0[key]?.epoch }
            let outcome = try await releaseInStore(key)
            // Fence, then remove: a flight that inserts after the removal sees the fence. A lease made since the store
            // answered is not what was released.
            locks.fence(key)
            let known = table.withLock { table -> Lease? in
                guard let lease = table[key], lease.epoch == before || lease.token == outcome.slot else { return nil }
                return table.remove(key, epoch: lease.epoch)
            }
            switch outcome {
            case .nothing:
                return .released
            case .ended(let ticket):
                let now = runtime.time.now()
                observer.leaseEnded(.released, after: now - (known?.created ?? now))
                note(key, "released: \(ticket.sandbox)")
                return await confirmed(ticket, until: patience) ? .released : .releasing
            case .fenced(let slot):
                note(key, "released during its creation")
                return await freed(slot, until: patience) ? .released : .releasing
            case .dying(let slot):
                return await freed(slot, until: patience) ? .released : .releasing
            }
        }
    }

    private func releaseInStore(_ key: LeaseKey) async throws(ManagerError) -> ReleaseOutcome {
        let release = { () async throws(ManagerError) in
            try await self.asked { () async throws(StoreError) in
                try await self.store.release(key, reason: .released)
            }
        }
        let outcome = try await release()
        guard outcome == .nothing, store.mode != .memory else { return outcome }
        // What an earlier manager noted is released too, once it is known to be the key's; and what a replica made that
        // is cut off from the store (O4).
        let entry = try await asked { () async throws(StoreError) in try await store.lookup(key) }
        if case .unverified(let sandbox) = entry {
            guard try await bookUnverified(sandbox, key) else { return outcome }
        } else {
            guard await adoptFromProvider(key) else { return outcome }
        }
        return try await release()
    }

    /// Starts the kill of `ticket` and waits for it, but not past `patience`.
    private func confirmed(_ ticket: KillTicket, until patience: MonotonicInstant) async -> Bool {
        await attempted(ticket, until: patience) { await self.kill(ticket) } ?? false
    }

    /// Repeats a kill of the outbox; counted, so that there are never too many at once.
    ///
    /// - Returns: Whether the sandbox is confirmed gone; `nil` if nobody knew at `patience`, and the kill goes on.
    func repeatKill(_ ticket: KillTicket, until patience: MonotonicInstant) async -> Bool? {
        repeatedKills.increment()
        return await attempted(ticket, until: patience) {
            let done = await self.kill(ticket)
            self.repeatedKills.wrappingSubtract(1, ordering: .relaxed)
            return done
        }
    }

    private func attempted(
        _ ticket: KillTicket,
        until patience: MonotonicInstant,
        _ attempt: @escaping @Sendable () async -> Bool
    ) async -> Bool? {
        let limit = patience - runtime.time.now()
        let outcome = OneShot<Bool?>()
        runtime.spawner.spawn("kill") { outcome.settle(await attempt()) }
        return await runtime.bounded("release", by: limit, fallback: { _ in nil }) { await outcome.value() }
    }

    /// Waits until nothing takes the slot any more: the creation is over and what it made is confirmed dead.
    private func freed(_ slot: CreationToken, until patience: MonotonicInstant) async -> Bool {
        var pause: Duration = .milliseconds(5)
        while runtime.time.now() < patience {
            if (try? await store.isTaken(slot)) == false { return true }
            // Whoever gave up does not sleep any more: without this they would ask again and again until their patience
            // is over.
            guard !Task.isCancelled else { return false }
            await runtime.time.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(200))
        }
        return false
    }
}
