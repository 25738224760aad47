internal import SandboxCore
internal import StandIns

// I6, I9, I10 at the end: nobody breaks anything any more, so everything comes to rest.

extension Checker {
    /// What is not at rest yet; `nil` if all is.
    var unrest: (code: String, text: String)? {
        for replica in world.replicas {
            guard let life = replica.life else { return ("I10", "a replica is down") }
            let gauges = life.manager.gauges()
            let locks = gauges.userLocks
            let name = life.process.name
            guard locks.held == 0, locks.waiters == 0 else {
                return ("I6", "\(name): \(locks.held) user locks are held and \(locks.waiters) wait")
            }
            guard locks.idle == 0, life.observer.locks == 0 else {
                return ("I6", "\(name): \(locks.idle) idle user locks")
            }
            guard gauges.inFlight == 0 else { return ("I9", "\(name): \(gauges.inFlight) operations are under way") }
            guard gauges.storeBreaker == .closed else { return ("I10", "\(name) is not attached to the store") }
        }
        guard let books = world.books else { return ("I10", "there are no books") }
        let usage = books.usage()
        guard usage.intents == 0 else { return ("I3", "\(usage.intents) intents are open") }
        guard usage.outbox == 0 else { return ("I4", "\(usage.outbox) sandboxes are in the outbox") }
        let leased = usage.active + usage.paused + usage.warm
        for machine in world.cloud.alive where !books.isTaken(machine.labels.token) {
            return ("I3", "\(machine.id) lives and has no slot")
        }
        let alive = world.cloud.alive.count
        guard usage.slots == leased, alive == leased else {
            return (
                "I10", "\(alive) sandboxes live, \(leased) are leased or in the pool, \(usage.slots) slots are taken"
            )
        }
        return nil
    }

    /// What a client must be able to get now.
    func checkServed(_ key: LeaseKey, _ outcome: Result<Grant, ManagerError>?) {
        switch outcome {
        case .success?: return
        case .failure(let error)?:
            // Who lets nothing go gets nothing: that is what the limits are for.
            guard error.reason == .userLimit || error.reason == .totalLimit || error.reason == .rateLimited else {
                return violated("I10", key, "with nothing broken, \(key) gets \(error.reason.rawValue)")
            }
        case nil: violated("I10", key, "with nothing broken, \(key) gets no answer")
        }
    }
}
