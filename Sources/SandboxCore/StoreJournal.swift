/// What this process did with a shared store, and the store may lose: written back when it lost it.
///
/// A value, bounded by what is under way: creations, and sandboxes that are dying.
struct StoreJournal {
    /// What became of a creation of this process.
    enum CreationState: Sendable {
        /// It holds its key.
        case held
        /// Its outcome is open; the key is free.
        case detached
        /// It surely made nothing, and the store could not be told.
        case abandoned
    }

    struct Creation: Sendable {
        var request: ReservationRequest
        var epoch: Epoch
        var state: CreationState
        var since: MonotonicInstant
    }

    struct Death: Sendable {
        var ticket: KillTicket
        /// The provider confirmed it, and the store could not be told.
        var isConfirmed: Bool
        var since: MonotonicInstant
    }

    /// Somebody else may have finished what is older: the store does not tell.
    static let memory: Duration = .seconds(600)
    /// The most entries. More are not noted: what the store then lacks is found by asking the provider.
    static let longest = 20_000

    private(set) var creations: [CreationToken: Creation] = [:]
    private(set) var deaths: [SandboxID: Death] = [:]
    /// Sandboxes that were made, and the store could not be told.
    private(set) var commits: [CreationToken: LeaseRecord] = [:]

    var count: Int { creations.count + deaths.count + commits.count }
    var isEmpty: Bool { count == 0 }

    /// The age of the oldest creation or death; zero when there is none.
    func oldest(now: MonotonicInstant) -> Duration {
        let creation = creations.values.reduce(Duration.zero) { max($0, now - $1.since) }
        return deaths.values.reduce(creation) { max($0, now - $1.since) }
    }

    mutating func reserved(_ request: ReservationRequest, _ epoch: Epoch, now: MonotonicInstant) {
        guard count < Self.longest else { return }
        creations[request.token] = Creation(request: request, epoch: epoch, state: .held, since: now)
    }

    mutating func settled(_ token: CreationToken) {
        creations[token] = nil
        commits[token] = nil
    }

    mutating func changed(_ token: CreationToken, to state: CreationState) {
        creations[token]?.state = state
    }

    mutating func owesCommit(_ record: LeaseRecord) {
        commits[record.token] = record
    }

    mutating func condemned(_ ticket: KillTicket, now: MonotonicInstant) {
        guard deaths[ticket.sandbox] == nil, count < Self.longest else { return }
        deaths[ticket.sandbox] = Death(ticket: ticket, isConfirmed: false, since: now)
    }

    mutating func confirmed(_ ticket: KillTicket, isToldLater: Bool, now: MonotonicInstant) {
        guard isToldLater else {
            deaths[ticket.sandbox] = nil
            return
        }
        guard count < Self.longest else { return }
        deaths[ticket.sandbox] = Death(ticket: ticket, isConfirmed: true, since: now)
    }

    /// The store has learned of everything.
    mutating func toldOfDeaths(_ sandboxes: [SandboxID]) {
        for sandbox in sandboxes where deaths[sandbox]?.isConfirmed == true { deaths[sandbox] = nil }
    }

    /// Forgets what is too old to be under way.
    mutating func prune(now: MonotonicInstant) {
        // Nearly always there is nothing to look at.
        if !deaths.isEmpty { deaths = deaths.filter { now - $0.value.since < Self.memory } }
        if !creations.isEmpty { creations = creations.filter { now - $0.value.since < Self.memory } }
    }
}
