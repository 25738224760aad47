internal import Synchronization

/// Totals since the start, as the statistics page shows them.
public struct ManagerStatistics: Sendable, Hashable {
    /// Sandboxes made.
    public var created = 0
    /// Acquires asked for.
    public var requests = 0
    /// Sandboxes confirmed dead.
    public var cleanedUp = 0
    /// Acquires refused because of a limit.
    public var rejected = 0
    /// Acquires that found their lease in memory.
    public var cacheHits = 0
    /// Acquires that did not.
    public var cacheMisses = 0

    /// Share of acquires served from memory; zero before the first.
    public var hitRate: Double {
        let lookups = cacheHits + cacheMisses
        return lookups == 0 ? 0 : Double(cacheHits) / Double(lookups)
    }

    /// All zero.
    public init() {}
}

/// The counters behind ``ManagerStatistics``.
final class StatisticsCounters: Sendable {
    let created = Atomic(0)
    let requests = Atomic(0)
    let cleanedUp = Atomic(0)
    let rejected = Atomic(0)
    let cacheHits = Atomic(0)
    let cacheMisses = Atomic(0)

    var current: ManagerStatistics {
        var statistics = ManagerStatistics()
        statistics.created = created.load(ordering: .relaxed)
        statistics.requests = requests.load(ordering: .relaxed)
        statistics.cleanedUp = cleanedUp.load(ordering: .relaxed)
        statistics.rejected = rejected.load(ordering: .relaxed)
        statistics.cacheHits = cacheHits.load(ordering: .relaxed)
        statistics.cacheMisses = cacheMisses.load(ordering: .relaxed)
        return statistics
    }
}

extension Atomic where Value == Int {
    /// One more.
    borrowing func increment() { wrappingAdd(1, ordering: .relaxed) }
}
