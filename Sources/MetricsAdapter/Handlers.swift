internal import CoreMetrics
internal import PrometheusClient
internal import Synchronization

/// A handler's share in a child, given back once.
final class Share: Sendable {
    private let key: SeriesTable.ChildKey
    private let isReleased = Atomic(false)

    init(_ key: SeriesTable.ChildKey) {
        self.key = key
    }

    /// The child, the first time; nil if it was taken before.
    func take() -> SeriesTable.ChildKey? {
        isReleased.exchange(true, ordering: .relaxed) ? nil : key
    }
}

/// Anything that this factory made.
protocol AdaptedHandler: AnyObject {
    /// Nil for a handler of a child that all share who overflowed.
    var share: Share? { get }
}

/// Handles counters of both kinds.
final class AdaptedCounter: AdaptedHandler, CounterHandler, FloatingPointCounterHandler {
    let share: Share?
    private let counter: ResettableCounter

    init(_ counter: ResettableCounter, share: Share?) {
        self.counter = counter
        self.share = share
    }

    func increment(by amount: Int64) { counter.increment(by: amount) }

    func increment(by amount: Double) { counter.increment(by: amount) }

    func reset() {
        // The child that is shared is not one metric's to reset.
        if share != nil { counter.reset() }
    }
}

/// Handles meters, gauges, and recorders that do not aggregate.
final class AdaptedGauge: AdaptedHandler, MeterHandler, RecorderHandler {
    let share: Share?
    private let gauge: PrometheusClient.Gauge

    init(_ gauge: PrometheusClient.Gauge, share: Share?) {
        self.gauge = gauge
        self.share = share
    }

    func set(_ value: Int64) { gauge.set(Double(value)) }

    func set(_ value: Double) { gauge.set(value) }

    func record(_ value: Int64) { gauge.set(Double(value)) }

    func record(_ value: Double) { gauge.set(value) }

    func increment(by amount: Double) {
        // An amount that is not finite would spoil the gauge for good.
        if amount.isFinite { gauge.increment(by: amount) }
    }

    func decrement(by amount: Double) {
        if amount.isFinite { gauge.decrement(by: amount) }
    }
}

/// Handles timers, and recorders that aggregate.
final class AdaptedHistogram: AdaptedHandler, RecorderHandler, TimerHandler {
    let share: Share?
    private let histogram: Histogram

    init(_ histogram: Histogram, share: Share?) {
        self.histogram = histogram
        self.share = share
    }

    func record(_ value: Int64) { histogram.observe(Double(value)) }

    func record(_ value: Double) { histogram.observe(value) }

    func recordNanoseconds(_ duration: Int64) { histogram.observe(Double(duration) / 1e9) }
}
