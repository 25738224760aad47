internal import SandboxCore
internal import StandIns

// I2 and I4: slots are taken within the limits, and freed by nothing but a death.

extension Checker {
    func checkSlots(after call: StandInCall) {
        guard let books = world.books else { return }
        for machine in world.cloud.alive { checkSlot(machine.labels.token, machine, call, books) }
        for token in world.cloud.underWay.keys { checkSlot(token, nil, call, books) }
        guard call.name == "reserve" || call.name == "claimWarm", let key = call.key else { return }
        checkLimits(key, call, books)
    }

    private func checkSlot(
        _ token: CreationToken,
        _ machine: SimulatedCloud.Machine?,
        _ call: StandInCall,
        _ books: MemoryLeaseStore
    ) {
        if books.isTaken(token) {
            slotted.insert(token)
        } else if slotted.remove(token) != nil {
            let what = machine.map { "\($0.id) lives" } ?? "its create may still take effect"
            violated("I4", machine?.labels.key ?? call.key, "\(call.name) freed slot \(token.short) although \(what)")
        }
    }

    /// No grant exceeds a limit: checked when a slot was taken.
    private func checkLimits(_ key: LeaseKey, _ call: StandInCall, _ books: MemoryLeaseStore) {
        let limits = world.scenario.configuration.limits
        let taken = books.account(of: key).userSlots
        let total = books.usage().slots
        let perUser = key.isWarm ? world.scenario.configuration.warmPool.target : limits.perUser
        // Refused: then what is there may be more than the limit, after an adoption.
        guard isGranted(call, books) else { return }
        world.history.note(key, "store: \(call.name) gave \(key) slot \(taken) of \(key.user), \(total) in all")
        if taken > perUser { violated("I2", key, "\(key.user) was given slot \(taken) of \(perUser)") }
        if call.name == "reserve", total > limits.total {
            violated("I2", key, "slot \(total) of \(limits.total) was given")
        }
    }

    private func isGranted(_ call: StandInCall, _ books: MemoryLeaseStore) -> Bool {
        guard let key = call.key, let entry = books.lookup(key) else { return false }
        switch entry {
        case .reservation(let record): return reserved.insert(record.token).inserted
        case .lease: return hasClaimed
        case .unverified: return false
        }
    }

    // MARK: Births and deaths

    func born(_ machine: SimulatedCloud.Machine) {
        counts.created += 1
        let token = machine.labels.token
        guard let books = world.books, !isUnsettled else { return }
        guard books.isTaken(token) else {
            return violated("I2", machine.labels.key, "\(machine.id) was made without a slot")
        }
        let limits = world.scenario.configuration.limits
        if world.cloud.alive.count > limits.total {
            violated(
                "I2",
                machine.labels.key,
                "\(world.cloud.alive.count) sandboxes live, the limit is \(limits.total)"
            )
        }
        let user = machine.labels.key.user
        let own = world.cloud.alive.count { (owners[$0.id] ?? $0.labels.key).user == user }
        if !machine.labels.key.isWarm, own > limits.perUser {
            violated("I2", machine.labels.key, "\(user) has \(own) living sandboxes, the limit is \(limits.perUser)")
        }
    }

    func died(_ machine: SimulatedCloud.Machine) {
        slotted.remove(machine.labels.token)
        unaccountedSince[machine.id] = nil
    }

    // MARK: Unsettled times

    /// Under `degrade` limits and uniqueness hold for each replica alone while one is away, and the merge restores them.
    var isUnsettledNow: Bool {
        guard world.scenario.store == .degrade else { return false }
        return world.replicas.contains { replica in
            replica.life?.shared.map { $0.store.mode == .degraded } ?? false
        }
    }

    /// Whether everything is in the books again, within the limits.
    func settleIfDone() {
        guard isUnsettled, let books = world.books else { return }
        let everybodyIsThere = world.replicas.allSatisfy { replica in
            guard let shared = replica.life?.shared else { return true }
            // Who has not noticed the loss yet, as one that stands still, may go on under a slot that was lost.
            guard world.store.losses == 0 || replica.lastNotAttached >= world.store.lastLoss else { return false }
            return shared.store.breaker == .closed && shared.store.isComplete
        }
        let limits = world.scenario.configuration.limits
        let usage = books.usage()
        guard everybodyIsThere, usage.slots <= limits.total, usage.largestUser <= limits.perUser,
            world.cloud.alive.allSatisfy({ books.isTaken($0.labels.token) }),
            world.cloud.underWay.keys.allSatisfy({ books.isTaken($0) })
        else { return }
        isUnsettled = false
        world.history.note(nil, "books are settled again")
    }
}
