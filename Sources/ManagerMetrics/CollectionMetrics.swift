internal import PrometheusClient
internal import SandboxCore

/// Size, bound and staleness of every keyed in-memory collection (I6).
struct CollectionMetrics {
    private let entries: GaugeFamily<CollectionName>
    private let limit: GaugeFamily<CollectionName>
    private let oldestIdle: GaugeFamily<CollectionName>
    private let idleLimit: GaugeFamily<CollectionName>
    let evictions: CounterFamily2<CollectionName, EvictionReason>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        entries = try registry.gauge(
            "\(prefix)collection_entries",
            help: "Entries of an in-memory collection.",
            by: CollectionName.self
        )
        limit = try registry.gauge(
            "\(prefix)collection_limit_entries",
            help: "Entries it may have; 0 for one that is not in use.",
            by: CollectionName.self
        )
        oldestIdle = try registry.gauge(
            "\(prefix)collection_oldest_idle_seconds",
            help: "How long its stalest entry was not touched.",
            by: CollectionName.self
        )
        idleLimit = try registry.gauge(
            "\(prefix)collection_idle_limit_seconds",
            help: "How long an entry may stay untouched.",
            by: CollectionName.self
        )
        evictions = try registry.counter(
            "\(prefix)collection_evictions_total",
            help: "Entries pushed out by a bound.",
            by: CollectionName.self,
            EvictionReason.self
        )
    }

    func collect(_ collections: [CollectionGauges]) {
        for collection in collections {
            entries.set(collection.name, to: collection.entries)
            limit.set(collection.name, to: collection.limit)
            oldestIdle.set(collection.name, to: collection.oldestIdle.inSeconds)
            idleLimit.set(collection.name, to: collection.idleLimit.inSeconds)
        }
    }
}
