internal import Synchronization

// Ending well: first nothing new comes in, then what is under way ends, then what must not outlive us is killed.

extension SandboxManager {
    /// Refuses new work from now on (O8).
    public nonisolated func beginDraining() {
        draining.store(true, ordering: .sequentiallyConsistent)
    }

    /// Drains, and kills every sandbox where configured or where none could outlive the process.
    ///
    /// Takes at most ``ManagerConfiguration/shutdownTimeout``, however the provider behaves.
    public func shutdown() async {
        beginDraining()
        let deadline = runtime.time.now() + configuration.shutdownTimeout
        let kills = configuration.shutdownKillsSandboxes || !provider.provider.capabilities.outlivesProcess
        // Sandboxes die side by side with the last work's end; half of the time is theirs if need be (T14).
        let workEnd = kills ? runtime.time.now() + configuration.shutdownTimeout / 2 : deadline
        await drained(until: workEnd)
        // Others go on with these leases: they must not look idle to them.
        try? await flushUses()
        if kills { await killAll(until: deadline) }
        let rest = max(.seconds(1), deadline - runtime.time.now())
        await runtime.bounded("provider shutdown", by: rest, fallback: { _ in }) { [provider] in
            await provider.provider.shutdown()
        }
    }

    private func drained(until deadline: MonotonicInstant) async {
        while inFlight.load(ordering: .sequentiallyConsistent) > 0, runtime.time.now() < deadline {
            await runtime.time.sleep(for: .milliseconds(10))
        }
    }

    private func killAll(until deadline: MonotonicInstant) async {
        let rest = deadline - runtime.time.now()
        await runtime.bounded("kill all", by: rest, fallback: { _ in }) {
            await self.releaseAll()
        }
    }

    /// The leases that end with this process: all, or those it served where others go on with the rest.
    private func doomed() async -> [LeaseRecord] {
        guard store.mode == .memory else { return leasesInMemory() }
        let leases = (try? await store.list(user: nil, limit: 256, after: nil))?.leases ?? []
        // In a store of this process the warm pool ends with it too.
        return leases + ((try? await store.list(user: LeaseKey.warmUser, limit: 256, after: nil))?.leases ?? [])
    }

    /// Until nothing is left, and nothing is under way that could leave something.
    private func releaseAll() async {
        while !Task.isCancelled {
            let doomed = await doomed()
            guard !doomed.isEmpty else {
                guard inFlight.load(ordering: .sequentiallyConsistent) > 0 else { return }
                await runtime.time.sleep(for: .milliseconds(10))
                continue
            }
            _ = await inParallel(doomed) { record in
                self.table.withLock { _ = $0.remove(record.key, epoch: record.epoch) }
                guard
                    let ticket = try? await self.store.end(
                        record.key,
                        epoch: record.epoch,
                        idleFor: nil,
                        reason: .shutdown
                    )
                else { return }
                if !record.key.isWarm { self.observer.leaseEnded(.shutdown, after: record.age) }
                await self.kill(ticket)
            }
        }
    }
}
