internal import PrometheusClient
internal import SandboxCore

/// Slots, leases, sandboxes, and what must die or is in doubt: everything that costs money.
struct FleetMetrics {
    let slotsInUse: GaugeFamily<TotalScope>
    let slotsLimit: GaugeFamily<LimitScope>
    let userSlotsMax: Gauge
    let leases: GaugeFamily<LeaseState>
    let leasesEnded: CounterFamily<LeaseEndReason>
    let leaseDuration: Histogram
    let created: CounterFamily<CreationOrigin>
    let killed: CounterFamily<KillReason>
    let outbox: Gauge
    let oldestKill: Gauge
    let intents: Gauge
    let oldestIntent: Gauge
    let ambiguous: CounterFamily<AmbiguityResolution>
    let ownershipMismatches: Counter
    let storeMode: GaugeFamily<StoreMode>
    let cacheLookups: CounterFamily<CacheResult>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        slotsInUse = try registry.gauge(
            "\(prefix)slots_in_use",
            help: "Slots taken, those of sandboxes being created or killed included.",
            by: TotalScope.self
        )
        slotsLimit = try registry.gauge("\(prefix)slots_limit", help: "Slots there are.", by: LimitScope.self)
        userSlotsMax = try registry.gauge("\(prefix)user_slots_max", help: "Most slots held by any one user.")
        leases = try registry.gauge("\(prefix)leases", help: "Leases by state.", by: LeaseState.self)
        leasesEnded = try registry.counter(
            "\(prefix)leases_ended_total",
            help: "Leases that ended, by reason.",
            by: LeaseEndReason.self
        )
        leaseDuration = try registry.histogram(
            "\(prefix)lease_duration_seconds",
            help: "Lifetime of ended leases.",
            buckets: Buckets.leases
        )
        created = try registry.counter(
            "\(prefix)sandboxes_created_total",
            help: "Sandboxes made.",
            by: CreationOrigin.self
        )
        killed = try registry.counter(
            "\(prefix)sandboxes_killed_total",
            help: "Sandboxes confirmed dead after we killed them.",
            by: KillReason.self
        )
        outbox = try registry.gauge(
            "\(prefix)kill_outbox_entries",
            help: "Sandboxes that must die and are not confirmed dead."
        )
        oldestKill = try registry.gauge(
            "\(prefix)kill_outbox_oldest_age_seconds",
            help: "Age of the oldest of them, 0 without one."
        )
        intents = try registry.gauge("\(prefix)create_intents", help: "Creates whose outcome is open.")
        oldestIntent = try registry.gauge(
            "\(prefix)create_intent_oldest_age_seconds",
            help: "Age of the oldest of them, 0 without one."
        )
        ambiguous = try registry.counter(
            "\(prefix)creates_ambiguous_total",
            help: "Creates of unknown outcome, by how they were resolved.",
            by: AmbiguityResolution.self
        )
        ownershipMismatches = try registry.counter(
            "\(prefix)ownership_mismatches_total",
            help: "Sandboxes whose metadata names another owner."
        )
        storeMode = try registry.gauge(
            "\(prefix)store_mode",
            help: "1 for where the shared truth lives right now.",
            by: StoreMode.self
        )
        cacheLookups = try registry.counter(
            "\(prefix)cache_lookups_total",
            help: "Acquires by whether memory knew the lease.",
            by: CacheResult.self
        )
    }

    func collect(_ gauges: ManagerGauges) {
        let usage = gauges.usage
        slotsInUse.set(.total, to: usage.slots)
        slotsLimit.set(.user, to: gauges.limits.perUser)
        slotsLimit.set(.total, to: gauges.limits.total)
        userSlotsMax.set(usage.largestUser)
        leases.set(.creating, to: gauges.leasesCreating)
        leases.set(.active, to: gauges.leasesActive)
        leases.set(.paused, to: gauges.leasesPaused)
        leases.set(.releasing, to: gauges.leasesReleasing)
        outbox.set(usage.outbox)
        oldestKill.set(usage.oldestKill)
        intents.set(usage.intents)
        oldestIntent.set(usage.oldestIntent)
        storeMode.setOnly(gauges.storeMode)
    }
}
