/// Looked-up addresses by host name, and which lookups are under way. Pure: the caller brings the time.
struct AddressCache {
    typealias Instant = ContinuousClock.Instant

    /// What is known about a name.
    enum Knowledge: Equatable {
        /// Addresses to use now; `isOutdated` asks for a lookup behind them.
        case known([String], isOutdated: Bool)
        case unknown
    }

    private struct Entry {
        var addresses: [String]
        var lookedUpAt: Instant
    }

    private struct Lookups {
        var running: Int
        var latestStart: Instant
    }

    /// Lookups of one name that may run at once. More would let one name whose lookups never end take every thread.
    private static let maxLookupsPerName = 2

    private let lifetime: Duration
    private let staleLifetime: Duration
    private let capacity: Int
    private var entries: [String: Entry] = [:]
    private var lookups: [String: Lookups] = [:]

    init(lifetime: Duration, staleLifetime: Duration, capacity: Int) {
        self.lifetime = lifetime
        self.staleLifetime = staleLifetime
        self.capacity = capacity
    }

    var count: Int { entries.count }

    func knowledge(of host: String, at now: Instant) -> Knowledge {
        guard let entry = entries[host] else { return .unknown }
        let age = now - entry.lookedUpAt
        if age < lifetime { return .known(entry.addresses, isOutdated: false) }
        if age < lifetime + staleLifetime { return .known(entry.addresses, isOutdated: true) }
        return .unknown
    }

    func isBeingLookedUp(_ host: String) -> Bool { lookups[host] != nil }

    /// Whether to start a lookup now; records that it was started.
    ///
    /// One lookup per name, and a second one if the first has been silent for `patience`: its answer may never come,
    /// and the resolver may have recovered meanwhile.
    mutating func shouldLookUp(_ host: String, at now: Instant, patience: Duration) -> Bool {
        var current = lookups[host] ?? Lookups(running: 0, latestStart: now)
        if current.running > 0 && now - current.latestStart < patience { return false }
        guard current.running < Self.maxLookupsPerName else { return false }
        current.running += 1
        current.latestStart = now
        lookups[host] = current
        return true
    }

    /// Takes back one `shouldLookUp`: the lookup has ended, or could not be started.
    mutating func lookupIsOver(_ host: String) {
        guard var current = lookups[host] else { return }
        current.running -= 1
        lookups[host] = current.running == 0 ? nil : current
    }

    mutating func lookupEnded(_ host: String, addresses: [String]?, at now: Instant) {
        lookupIsOver(host)
        // A failed lookup leaves what is known: stale addresses are there for exactly that.
        guard let addresses, !addresses.isEmpty else { return }
        if entries[host] == nil && entries.count >= capacity { makeRoom(at: now) }
        entries[host] = Entry(addresses: addresses, lookedUpAt: now)
    }

    /// Drops addresses that nothing answers at.
    mutating func forget(_ host: String) {
        entries[host] = nil
    }

    /// Removes everything outdated, or the oldest entry if nothing is.
    private mutating func makeRoom(at now: Instant) {
        let lifetime = lifetime
        entries = entries.filter { now - $0.value.lookedUpAt < lifetime }
        guard entries.count >= capacity else { return }
        if let oldest = entries.min(by: { $0.value.lookedUpAt < $1.value.lookedUpAt }) { entries[oldest.key] = nil }
    }
}
