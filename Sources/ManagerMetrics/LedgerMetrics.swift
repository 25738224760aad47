internal import PrometheusClient
internal import SandboxCore

/// What we believe runs against what the provider says runs: their difference is money or a broken promise.
struct LedgerMetrics {
    let ledger: GaugeFamily<LedgerAccount>
    let provider: GaugeFamily<ProviderSandboxState>
    let drift: GaugeFamily<DriftKind>
    let orphans: CounterFamily<OrphanAction>
    let seconds: DoubleCounterFamily<SandboxUse>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        ledger = try registry.gauge(
            "\(prefix)ledger_sandboxes",
            help: "Sandboxes in the books, by what they are kept for; one that is being created may not exist yet.",
            by: LedgerAccount.self
        )
        provider = try registry.gauge(
            "\(prefix)provider_sandboxes",
            help: "Sandboxes of ours that the provider had when it was last listed.",
            by: ProviderSandboxState.self
        )
        drift = try registry.gauge(
            "\(prefix)ledger_drift",
            help: "Differences between the books and the provider when they were last compared.",
            by: DriftKind.self
        )
        orphans = try registry.counter(
            "\(prefix)orphans_total",
            help: "Sandboxes that were in nobody's books, by what was done about them.",
            by: OrphanAction.self
        )
        seconds = try registry.doubleCounter(
            "\(prefix)sandbox_seconds_total",
            help: "Time that sandboxes ran at the provider, by what for; counted by the replica that reconciles.",
            by: SandboxUse.self
        )
    }

    func collect(_ gauges: ManagerGauges) {
        let usage = gauges.usage
        ledger.set(.creating, to: usage.reservations)
        ledger.set(.leased, to: usage.active)
        ledger.set(.paused, to: usage.paused)
        ledger.set(.warm, to: usage.warm)
        ledger.set(.killing, to: usage.outbox)
        provider.set(.running, to: gauges.provider.running)
        provider.set(.paused, to: gauges.provider.paused)
        drift.set(.untrackedAtProvider, to: gauges.drift.untrackedAtProvider)
        drift.set(.missingAtProvider, to: gauges.drift.missingAtProvider)
        drift.set(.storeOnly, to: gauges.drift.storeOnly)
    }
}
