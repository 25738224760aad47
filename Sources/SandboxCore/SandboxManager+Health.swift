internal import Logging
internal import Synchronization

// Probes: one that fails destroys nothing, and only the control plane's word means gone (I8).

extension SandboxManager {
    /// Takes a verdict in and settles doubt.
    ///
    /// - Returns: What to do; `nil` if the lease is no longer the one that was probed.
    func decide(_ lease: Lease, _ verdict: HealthVerdict) async -> HealthDecision? {
        let now = runtime.time.now()
        if verdict == .alive { lastAnswer.withLock { $0 = now } }
        let decision = table.withLock { $0.recordProbe(lease.key, epoch: lease.epoch, verdict, now: now) }
        guard let decision else { return nil }
        if decision != .alive { note(lease.key, "probe: \(verdict.result.rawValue)") }
        guard case .doubt(let error) = decision else { return decision }
        return await settleDoubt(lease, error, now: now)
    }

    /// A long silence: the control plane says whether the sandbox exists, its neighbours whether the way there works.
    private func settleDoubt(_ lease: Lease, _ error: ManagerError, now: MonotonicInstant) async -> HealthDecision {
        let found = await Result.catching { () async throws(ProviderError) in
            try await provider.info(lease.sandbox.id)
        }
        switch found {
        case .failure(let failure):
            if failure.kind == .breakerOpen { observer.healthCheckSkipped(.breakerOpen) }
            return .keep(error)
        case .success(nil): return .gone
        case .success(let info?) where info.state == .paused: return .resume
        case .success:
            let othersAnswer = lastAnswer.withLock { $0.map { now - $0 < HealthHistory.silence } ?? false }
            return othersAnswer ? .replace : .keep(error)
        }
    }

    /// The probe behind an answer from memory (K4). It takes the user lock only to act, and only if nobody else has it.
    func probeBehind(_ lease: Lease) async {
        let verdict = await provider.health(lease.sandbox)
        switch await decide(lease, verdict) {
        case .gone:
            await act(on: lease) { () async throws(ManagerError) in try await forget(lease) }
        case .replace:
            await act(on: lease) { () async throws(ManagerError) in try await end(lease, .unhealthy) }
        case .resume, .keep, .doubt:
            // The next acquire asks again, in the foreground.
            table.withLock { $0.suspect(lease.key, epoch: lease.epoch) }
        case .alive, nil:
            break
        }
    }

    /// Whoever holds the lock is working on the key and will find out by itself.
    private func act(on lease: Lease, _ action: () async throws(ManagerError) -> Void) async {
        guard let ticket = locks.tryHold(lease.key, for: .reap) else {
            table.withLock { $0.suspect(lease.key, epoch: lease.epoch) }
            return
        }
        defer { locks.finish(lease.key, ticket) }
        do throws(ManagerError) {
            try await measured(.reap, action)
        } catch {
            log.warning("could not end an ill lease", metadata: ["reason": "\(error.reason.rawValue)"])
        }
    }

    /// Somebody says that the sandbox is ill: it is probed now, and not handed out unprobed before it answered.
    ///
    /// - Returns: The verdict of the probe.
    /// - Throws: `.notFound` without a lease.
    public func reportUnhealthy(_ key: LeaseKey) async throws(ManagerError) -> HealthVerdict {
        try await measured(.reportUnhealthy) { () async throws(ManagerError) in
            try refuseWhenDraining()
            return try await exclusively(key, for: .reportUnhealthy) { () async throws(ManagerError) in
                guard let lease = try await known(key) else { throw .notFound }
                table.withLock { $0.suspect(key, epoch: lease.epoch) }
                note(key, "reported unhealthy")
                let verdict = await provider.health(lease.sandbox)
                switch await decide(lease, verdict) {
                case .gone: try await forget(lease)
                case .replace: try await end(lease, .unhealthy)
                case .alive, .resume, .keep, .doubt, nil: break
                }
                return verdict
            }
        }
    }
}
