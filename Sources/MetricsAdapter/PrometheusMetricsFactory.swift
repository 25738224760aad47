public import CoreMetrics
public import PrometheusClient
internal import Synchronization

/// Puts the metrics of libraries that use swift-metrics on the pages of a registry.
///
/// An application bootstraps it once, before it starts anything that counts:
///
/// ```swift
/// let registry = MetricRegistry()
/// MetricsSystem.bootstrap(try PrometheusMetricsFactory(registry: registry))
/// ```
///
/// | swift-metrics | on the page |
/// |---|---|
/// | `Counter`, `FloatingPointCounter` `a.b` | counter `a_b_total` |
/// | `Meter`, `Gauge`, `Recorder(aggregate: false)` `a.b` | gauge `a_b` |
/// | `Recorder` `a.b` | histogram `a_b` |
/// | `Timer` `a.b` | histogram `a_b_seconds`, in seconds |
///
/// **Names.** What a name can't hold becomes `_`, in names of metrics and of dimensions. Labels that become the same
/// name are one metric. A name that would end in `_count`, `_sum`, `_bucket` or, but for counters, `_total` gets an
/// `s`, for these endings belong to other types. Dimensions are sorted by name; an empty value is printed as `none`.
///
/// **Conflicts.** Nothing that a library asks for stops the process or spoils the page. If a metric of another type has
/// the name, the later one is called `a_b_counter_total`, `a_b_gauge` or `a_b_histogram`; if that is taken too, it is
/// not on the page. If its dimensions have other names than at the metric's first use, those that are new are left out
/// and those that are missing are `none`, so that sums stay right. Each case is counted in
/// `metrics_adapter_conflicts_total`.
///
/// **Bounds.** New combinations of label values beyond a bound of the configuration go to a child whose label values
/// all are `other`, where counters and histograms add up, and a gauge shows what was set last; a new metric beyond the
/// bound of all series is not on the page. Both are counted in `metrics_adapter_overflowed_total`.
///
/// **Destroying.** When all that use a gauge's series have destroyed it, it vanishes. A counter or histogram stays and
/// counts on when it is made again, unless its room was needed meanwhile.
///
/// Updating a metric takes no lock; making and destroying one does, briefly. Negative amounts and observations, and
/// those that are not finite, are refused and counted in `MetricRegistry.rejectedUpdates`.
public final class PrometheusMetricsFactory: MetricsFactory {
    private let registry: MetricRegistry
    private let configuration: PrometheusMetricsConfiguration
    private let metrics: AdapterMetrics
    // Under it the registry's own locks are taken, whose holders call nothing.
    private let table: Mutex<SeriesTable>

    /// Makes a factory and registers its own metrics, `metrics_adapter_…`, with the prefix if there is one.
    ///
    /// - Parameters:
    ///   - registry: Where the metrics go; it may have others.
    ///   - configuration: Names, bounds and buckets.
    /// - Throws: If buckets are not ascending, or the registry has an adapter with the same prefix already.
    public init(
        registry: MetricRegistry,
        configuration: PrometheusMetricsConfiguration = PrometheusMetricsConfiguration()
    ) throws(MetricError) {
        try Histogram.check(bounds: configuration.timerBuckets, of: "timerBuckets")
        try Histogram.check(bounds: configuration.recorderBuckets, of: "recorderBuckets")
        for (label, bounds) in configuration.buckets { try Histogram.check(bounds: bounds, of: label) }
        self.registry = registry
        self.configuration = configuration
        let maximumSeries = max(configuration.maximumSeries, 0)
        metrics = try AdapterMetrics(registry, prefix: configuration.prefix, maximumSeries: maximumSeries)
        table = Mutex(
            SeriesTable(maximumSeries: maximumSeries, maximumChildren: configuration.maximumChildrenPerMetric)
        )
    }

    /// Makes a counter, for `Counter`.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a counter, for `FloatingPointCounter`; the same one as for a `Counter` of this label.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a gauge, for `Meter`.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a histogram, for a `Recorder` that aggregates, or a gauge, for one that does not and for `Gauge`.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate { return histogram(.recorder, label, dimensions) ?? NOOPMetricsHandler.instance }
        return gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a histogram, for `Timer`. Its unit is the second, whatever display unit is preferred.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(.timer, label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Gives the counter back; a second time changes nothing.
    public func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }

    /// Gives the counter back; a second time changes nothing.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { destroy(handler) }

    /// Gives the gauge back; a second time changes nothing.
    public func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }

    /// Gives the histogram or gauge back; a second time changes nothing.
    public func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }

    /// Gives the histogram back; a second time changes nothing.
    public func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }
}

extension PrometheusMetricsFactory {
    private func counter(_ label: String, _ dimensions: [(String, String)]) -> AdaptedCounter? {
        let name = MetricName(prefix: configuration.prefix, label: label, kind: .counter)
        let found = acquire(name, .counter, label, dimensions, cost: 1) { name, help, labelNames throws(MetricError) in
            .counter(try self.registry.openCounter(name, help: help, labelNames: labelNames))
        }
        guard case .counter(let counter) = found.child else { return nil }
        return AdaptedCounter(counter, share: found.key.map(Share.init))
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> AdaptedGauge? {
        let name = MetricName(prefix: configuration.prefix, label: label, kind: .gauge)
        let found = acquire(name, .gauge, label, dimensions, cost: 1) { name, help, labelNames throws(MetricError) in
            .gauge(try self.registry.openGauge(name, help: help, labelNames: labelNames))
        }
        guard case .gauge(let gauge) = found.child else { return nil }
        return AdaptedGauge(gauge, share: found.key.map(Share.init))
    }

    private func histogram(
        _ kind: MetricKind,
        _ label: String,
        _ dimensions: [(String, String)]
    ) -> AdaptedHistogram? {
        let usual = kind == .timer ? configuration.timerBuckets : configuration.recorderBuckets
        let buckets = configuration.buckets[label] ?? usual
        let name = MetricName(prefix: configuration.prefix, label: label, kind: kind)
        let found = acquire(name, .histogram, label, dimensions, cost: buckets.count + 3) {
            name,
            help,
            labelNames throws(MetricError) in
            .histogram(
                try self.registry.openHistogram(name, help: help, labelNames: labelNames, buckets: buckets)
            )
        }
        guard case .histogram(let histogram) = found.child else { return nil }
        return AdaptedHistogram(histogram, share: found.key.map(Share.init))
    }

    private func acquire(
        _ name: MetricName,
        _ type: MetricType,
        _ label: String,
        _ dimensions: [(String, String)],
        cost: Int,
        register: (_ name: String, _ help: String, _ labelNames: [String]) throws(MetricError) -> AdaptedFamily
    ) -> SeriesTable.Answer {
        let labels = LabelPairs(dimensions)
        let key = SeriesTable.FamilyKey(type: type, wantedName: name.wanted)
        let answer = table.withLock { table in
            let answer = table.acquire(key, label: label, labels: labels, cost: cost) { () throws(MetricError) in
                let help = "Reported through swift-metrics as \(String(label.prefix(100)))."
                do throws(MetricError) {
                    return (try register(name.wanted, help, labels.names), false)
                } catch {
                    guard case .nameTaken = error else { throw error }
                    return (try register(name.substitute, help, labels.names), true)
                }
            }
            metrics.series.set(table.printed)
            return answer
        }
        for reason in answer.conflicts { metrics.conflicts.increment(reason) }
        if let bound = answer.overflow { metrics.overflowed.increment(bound) }
        return answer
    }

    private func destroy(_ handler: AnyObject) {
        guard let key = (handler as? any AdaptedHandler)?.share?.take() else { return }
        table.withLock { table in
            table.release(key)
            metrics.series.set(table.printed)
        }
    }
}
