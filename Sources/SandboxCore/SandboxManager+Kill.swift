internal import Logging
internal import Synchronization

// Killing: repeated until the provider confirms the death, and written down once it has.

extension SandboxManager {
    /// The longest pause between attempts to kill one sandbox.
    private static let longestKillPause: Duration = .seconds(60)

    /// One attempt to kill. Success frees the slot; failure defers the next attempt, with growing pauses (O3).
    ///
    /// - Returns: Whether the sandbox is confirmed gone.
    @discardableResult
    func kill(_ ticket: KillTicket) async -> Bool {
        let outcome = await Result.catching { () async throws(ManagerError) in
            try await measured(.kill) { () async throws(ManagerError) in
                try await called { () async throws(ProviderError) in try await killOrFindGone(ticket.sandbox) }
            }
        }
        switch outcome {
        case .success(let outcome):
            pacer.withLock { $0.sandboxEnded() }
            let wasThere = (try? await store.confirmKilled(ticket)) ?? false
            if wasThere { confirmedDead(ticket, outcome) }
            return true
        case .failure(let error):
            await postpone(ticket, error)
            return false
        }
    }

    /// A kill that was answered with 5xx or not at all may have taken effect: the control plane is asked, and only its
    /// word that there is no such sandbox counts as a death (I4).
    private func killOrFindGone(_ sandbox: SandboxID) async throws(ProviderError) -> KillOutcome {
        do throws(ProviderError) {
            return try await provider.kill(sandbox)
        } catch {
            guard error.leavesKillOpen else { throw error }
            let found = await Result.catching { () async throws(ProviderError) in try await provider.info(sandbox) }
            // The kill's own failure is what the operator should read of, whatever became of the question.
            guard case .success(nil) = found else { throw error }
            return .alreadyGone
        }
    }

    /// The audit line: exactly one for each confirmed death, as the store confirms each only once.
    private func confirmedDead(_ ticket: KillTicket, _ outcome: KillOutcome) {
        observer.sandboxKilled(ticket.reason)
        counters.cleanedUp.increment()
        if let key = ticket.key { note(key, "confirmed dead: \(ticket.sandbox)") }
        var metadata: Logger.Metadata = [
            "sandbox": "\(ticket.sandbox)", "reason": "\(ticket.reason.rawValue)",
            "decided_by": "\(ticket.reason.decidedBy)", "replica": "\(configuration.owner)",
            "attempts": "\(ticket.attempts + 1)", "outcome": outcome == .killed ? "killed" : "already_gone",
        ]
        if let key = ticket.key { metadata["key"] = "\(key)" }
        if let epoch = ticket.epoch { metadata["epoch"] = "\(epoch)" }
        log.notice("killed a sandbox", metadata: metadata)
    }

    private func postpone(_ ticket: KillTicket, _ error: ManagerError) async {
        let bound = min(Duration.seconds(1) * (1 << min(ticket.attempts, 6)), Self.longestKillPause)
        let jittered = bound / 2 + bound / 2 * runtime.random.nextFraction()
        let pause = max(jittered, error.retryAfter ?? .zero)
        var failed = ticket
        failed.lastFailure = error.reason
        try? await store.deferKill(failed, by: pause)
        if case .provider(let failure) = error, let reason = failure.retryReason {
            observer.retried(.kill, because: reason)
        }
        if let key = ticket.key { note(key, "kill failed: \(ticket.sandbox), \(error.reason.rawValue)") }
        log.warning(
            "a kill failed and will be repeated",
            metadata: ["sandbox": "\(ticket.sandbox)", "reason": "\(error.reason.rawValue)"]
        )
    }
}

extension ProviderError {
    /// Whether a kill that failed like this may have ended the sandbox nevertheless.
    fileprivate var leavesKillOpen: Bool {
        switch kind {
        case .timedOut: true
        case .http(let status): status >= 500
        default: false
        }
    }
}

extension KillReason {
    /// Which part of the manager, or who before it, decided that a sandbox has to die.
    var decidedBy: String {
        switch self {
        // Fenced is what a release during the creation leaves.
        case .released, .fenced: "user"
        case .idle, .expired: "reaper"
        case .orphan: "reconciler"
        case .warmExpired: "pool"
        case .unhealthy: "health"
        case .shutdown: "shutdown"
        }
    }
}
