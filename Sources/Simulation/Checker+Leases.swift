internal import SandboxCore
internal import StandIns

// I1, I5, I7, I8, I10: what keys hold, who is handed what, and why it ends.

extension Checker {
    /// One lease of a key, as the books had it.
    struct Generation {
        var sandbox: SandboxID
        var epoch: Epoch
        var idleTimeout: Int64
        var endedAt: Int64?
    }

    struct KeyBook {
        var current: Generation?
        /// Ended ones, the latest last.
        var past: [Generation] = []
        /// What the key held when the store lost everything.
        var lost: Generation?
    }

    /// When a sandbox was last used, as its users were told.
    struct Use {
        var at: Int64
        var replica: Replica?
    }

    /// Probes of one sandbox by one process since the last that ended well.
    struct ProbeSeries {
        var failures = 0
        var since: Int64 = 0
    }

    // MARK: The books

    /// Without a wire there is no word of what changed: everything is looked at.
    func checkEmbeddedBooks() {
        for key in world.scenario.keys {
            look(at: key, after: "embedded")
            checkSlots(after: StandInCall("embedded", key))
        }
    }

    func stored(_ call: StandInCall, _ wire: StoreWire) {
        if let key = call.key {
            look(at: key, after: call.name)
            // Put back after a loss or an outage: no grant.
            if call.name != "reserve", case .reservation(let record)? = world.books?.lookup(key) {
                reserved.insert(record.token)
            }
        }
        checkSlots(after: call)
    }

    /// Compares what the key holds with what it held.
    func look(at key: LeaseKey, after call: String) {
        hasClaimed = false
        guard !key.isWarm, let books = world.books else { return }
        var held: Generation?
        if case .lease(let record) = books.lookup(key) {
            held = Generation(
                sandbox: record.sandbox.id,
                epoch: record.epoch,
                idleTimeout: record.idleTimeout.nanoseconds
            )
        }
        var book = keys[key] ?? KeyBook()
        defer { keys[key] = book }
        guard held?.sandbox != book.current?.sandbox || held?.epoch != book.current?.epoch else { return }
        if var ended = book.current {
            ended.endedAt = now
            book.past.append(ended)
            if book.past.count > 12 { book.past.removeFirst() }
            counts.ended += 1
            checkEnd(of: ended, key, after: call, books)
        }
        book.current = held
        hasClaimed = call == "claimWarm" && held != nil
        if let held {
            world.history.note(key, "store: \(key) holds \(held.sandbox) epoch \(held.epoch) after \(call)")
            checkBeginning(of: held, key, after: call, books, &book)
        } else {
            world.history.note(key, "store: \(key) holds nothing after \(call)")
        }
    }

    private func checkEnd(of ended: Generation, _ key: LeaseKey, after call: String, _ books: MemoryLeaseStore) {
        let kill = books.account(of: key).kills.first { $0.ticket.sandbox == ended.sandbox }
        let machine = world.cloud.machines[ended.sandbox]
        guard let kill else {
            // Forgotten: only what is truly gone is. The books of a store that was lost forget everything.
            guard call == "forget" || call == "embedded", machine?.isAlive == true else { return }
            return violated("I4", key, "\(ended.sandbox) was forgotten although it lives")
        }
        switch kill.ticket.reason {
        case .idle:
            guard let use = uses[ended.sandbox], now - use.at < ended.idleTimeout, !isCutOff(use.replica, since: use.at)
            else { return }
            violated("I7", key, "\(ended.sandbox) ended as idle \((now - use.at).asSeconds) s after it was used")
        case .unhealthy:
            let worst = (probes[ended.sandbox] ?? [:]).values.map { ($0.failures, now - $0.since) }
            guard !worst.contains(where: { $0.0 >= 3 && $0.1 >= .seconds(10) }) else { return }
            violated(
                "I8",
                key,
                "\(ended.sandbox) was replaced after \(worst.map(\.0).max() ?? 0) failed probes in a row"
            )
        default: break
        }
    }

    /// A sandbox that was made although the key has one that lives is paid for twice (I1, I10).
    private func checkBeginning(
        of held: Generation,
        _ key: LeaseKey,
        after call: String,
        _ books: MemoryLeaseStore,
        _ book: inout KeyBook
    ) {
        checkUniqueness(of: held, key, after: call, books)
        guard let lost = book.lost else { return }
        guard lost.sandbox != held.sandbox else {
            book.lost = nil
            return
        }
        guard let made = world.cloud.machines[held.sandbox] else { return }
        let ordered = world.cloud.sentAt[made.labels.token] ?? made.born
        guard ordered >= lost.endedAt ?? 0 || made.labels.key.isWarm else {
            // An old commit that is told again: the higher epoch wins as soon as the replica that knows it is back. Without
            // a shared store epochs follow the civil clocks of the processes: where one was ahead, an older sandbox looks
            // like the newer one, and the other is an orphan from then on.
            let epoch = world.cloud.machines[lost.sandbox]?.labels.epoch
            if world.scenario.store == .embedded, epoch.map({ $0 < made.labels.epoch }) ?? true { book.lost = nil }
            return
        }
        book.lost = nil
        guard call == "commit" || call == "embedded", let machine = world.cloud.machines[lost.sandbox], machine.isAlive
        else { return }
        // Documented: what the provider does not list yet when the books are lost, nobody can find.
        guard machine.listedFrom <= lost.endedAt ?? now else { return }
        // Documented: a sandbox from the warm pool does not name its user, so without its record nobody knows whose it
        // is. And what is condemned was not lost.
        guard !machine.labels.key.isWarm, !isCondemned(machine, books), world.scenario.store != .degrade else { return }
        violated("I10", key, "\(held.sandbox) was made although \(lost.sandbox) lives and was leased before the loss")
    }

    private func checkUniqueness(
        of held: Generation,
        _ key: LeaseKey,
        after call: String,
        _ books: MemoryLeaseStore
    ) {
        guard call == "commit", !isUnsettled else { return }
        for machine in world.cloud.alive where machine.labels.key == key && machine.id != held.sandbox {
            let listed = ListedSandbox(id: machine.id, token: machine.labels.token, key: key)
            guard books.unaccounted([listed]).isEmpty else {
                return violated("I1", key, "\(held.sandbox) was leased although \(machine.id) lives and is in no book")
            }
        }
    }

    func isCondemned(_ machine: SimulatedCloud.Machine, _ books: MemoryLeaseStore) -> Bool {
        books.account(of: machine.labels.key).kills.contains { $0.ticket.sandbox == machine.id }
    }

    /// Whether a replica could not tell the store of something since then.
    func isCutOff(_ replica: Replica?, since: Int64) -> Bool {
        guard let replica, let life = replica.life else { return true }
        return life.shared != nil && replica.lastNotAttached >= since
    }

    func storeLost() {
        counts.losses += 1
        for key in world.scenario.keys {
            guard var ended = keys[key]?.current else { continue }
            ended.endedAt = now
            keys[key]?.past.append(ended)
            keys[key]?.lost = ended
            keys[key]?.current = nil
        }
        slotted = []
        isUnsettled = true
        unsettledSince = now
        world.history.note(nil, "store: lost")
    }

    // MARK: Grants

    func granted(_ grant: Grant, _ ask: Ask, _ replica: Replica) {
        guard ask.process.isAlive, let life = replica.life else { return }
        counts.grants += 1
        let id = grant.sandbox.id
        used(ask, sandbox: id, at: now, replica)
        guard let machine = world.cloud.machines[id] else {
            return violated("I5", ask.key, "\(id) was handed out and never existed")
        }
        checkOwner(machine, grant.key)
        guard grant.key == ask.key else {
            return violated("I5", ask.key, "a grant of \(grant.key) for a request of \(ask.key)")
        }
        let book = keys[ask.key] ?? KeyBook()
        if let current = book.current, current.sandbox == id, current.epoch == grant.epoch { return }
        let past = book.past.last { $0.sandbox == id && $0.epoch == grant.epoch }
        if let endedAt = past?.endedAt, endedAt >= ask.began { return }
        if mayBeStale(ask.key, grant.epoch, life, replica, since: ask.began) { return }
        let holds = book.current.map { "\($0.sandbox) epoch \($0.epoch)" } ?? "nothing"
        let was = past?.endedAt.map { ", and that lease ended at \($0.asSeconds)" } ?? ", which was never its lease"
        violated(
            "I1",
            ask.key,
            "\(life.process.name) handed out \(id) epoch \(grant.epoch); the key holds \(holds)\(was)"
        )
    }

    /// Where a copy in memory may be handed out that the store does not know any more.
    private func mayBeStale(
        _ key: LeaseKey,
        _ epoch: Epoch,
        _ life: Replica.Life,
        _ replica: Replica,
        since began: Int64
    ) -> Bool {
        guard let wire = life.shared?.wire else { return false }
        // Without the store memory is all there is; what was made alone the store has never seen.
        if replica.lastNotAttached >= began { return true }
        // A loss that nobody has noticed yet: the copies are what the store is told again.
        if world.store.lastLoss >= replica.lastNotAttached, world.store.losses > 0 { return true }
        // The release is under way: who asks meanwhile may be served before it or after it.
        if wire.releasing[key] != nil { return true }
        // Other endings than releases are told and not waited for; a dead subscription is noticed within 2.5 s.
        if let pending = wire.pending[key], pending.epoch >= epoch { return true }
        return wire.unknowinglyDeafSince.map { now - $0 <= .seconds(3) || life.process.isStalled } ?? false
    }

    /// Nobody is handed another key's sandbox (I5).
    private func checkOwner(_ machine: SimulatedCloud.Machine, _ key: LeaseKey) {
        let label = machine.labels.key
        if let owner = owners[machine.id] ?? (label.isWarm ? nil : label), owner != key {
            return violated("I5", key, "\(machine.id) is \(owner)'s and was handed to \(key)")
        }
        owners[machine.id] = key
    }

    /// A request that counts as a use has ended well: its sandbox was used when it began, at the latest.
    func used(_ ask: Ask) {
        guard ask.process.isAlive, let sandbox = keys[ask.key]?.current?.sandbox,
            let replica = world.replicas.first(where: { $0.life?.process === ask.process })
        else { return }
        // What the key holds now may be a later lease than the one that was used.
        guard let machine = world.cloud.machines[sandbox], machine.born < ask.began else { return }
        used(ask, sandbox: sandbox, at: ask.began, replica)
    }

    private func used(_ ask: Ask, sandbox: SandboxID, at: Int64, _ replica: Replica) {
        if let known = uses[sandbox], known.at > at { return }
        uses[sandbox] = Use(at: at, replica: replica)
    }

    // MARK: Probes

    /// A probe begins; until one ends well it counts as failed.
    func probing(_ id: SandboxID, by process: SimulatedProcess) {
        var series = probes[id]?[process.name] ?? ProbeSeries(failures: 0, since: now)
        series.failures += 1
        probes[id, default: [:]][process.name] = series
    }

    func probedWell(_ id: SandboxID, by process: SimulatedProcess) { probes[id]?[process.name] = nil }
}
