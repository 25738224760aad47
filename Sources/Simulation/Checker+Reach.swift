internal import SandboxCore
internal import StandIns

// I3: what runs under our label is found.

extension Checker {
    /// Once a second of virtual time.
    func tick() {
        settleIfDone()
        guard let books = world.books else { return }
        let isHealthy = isEverythingReachable
        for machine in world.cloud.alive {
            let listed = ListedSandbox(id: machine.id, token: machine.labels.token, key: machine.labels.key)
            guard books.unaccounted([listed]).contains(machine.id) else {
                unaccountedSince[machine.id] = nil
                continue
            }
            // A reconciler that cannot list or write finds nothing: only time in which it could counts.
            guard isHealthy, let since = unaccountedSince[machine.id] else {
                unaccountedSince[machine.id] = now
                continue
            }
            guard now - since > patience else { continue }
            violated("I3", machine.labels.key, "\(machine.id) is in no book for \((now - since).asSeconds) s")
        }
    }

    /// Two rounds, the grace, the round in which it is over, and the time that all this takes.
    private var patience: Int64 {
        let policy = world.scenario.configuration.reconciler
        return (policy.interval * 3 + policy.grace + .seconds(15)).nanoseconds
    }

    private var isEverythingReachable: Bool {
        let bad: [FaultKind] = [.hang, .error5xx, .error429, .reset, .listingLag, .storeSlow]
        guard !bad.contains(where: world.weather.isActive) else { return false }
        return world.replicas.allSatisfy { replica in
            guard let life = replica.life, !life.process.isStalled else { return false }
            guard life.manager.gauges().providerBreaker == .closed else { return false }
            return life.shared.map { $0.store.breaker == .closed && !$0.wire.isCut } ?? true
        }
    }
}
