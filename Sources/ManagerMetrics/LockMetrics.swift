internal import PrometheusClient
internal import SandboxCore

/// Everything about user locks, which the implementation before this one leaked.
struct LockMetrics {
    let locks: GaugeFamily<UserLockState>
    let waiters: Gauge
    let created: Counter
    let removed: Counter
    let wait: Histogram
    let hold: Histogram
    let oldestWait: Gauge
    let oldestHold: Gauge
    let oldestIdle: Gauge
    let timeouts: Counter

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        locks = try registry.gauge(
            "\(prefix)user_locks",
            help: "Entries of the user-lock table; idle ones are a leak.",
            by: UserLockState.self
        )
        waiters = try registry.gauge("\(prefix)user_lock_waiters", help: "Callers waiting for a user lock.")
        created = try registry.counter("\(prefix)user_locks_created_total", help: "User locks that came into being.")
        removed = try registry.counter("\(prefix)user_locks_removed_total", help: "User locks that were removed.")
        wait = try registry.histogram(
            "\(prefix)user_lock_wait_seconds",
            help: "Time until a user lock was granted or its flight's outcome shared.",
            buckets: Buckets.locks
        )
        hold = try registry.histogram(
            "\(prefix)user_lock_hold_seconds",
            help: "Time a user lock was held.",
            buckets: Buckets.locks
        )
        oldestWait = try registry.gauge(
            "\(prefix)user_lock_oldest_wait_seconds",
            help: "Age of the oldest wait for a user lock, 0 without one."
        )
        oldestHold = try registry.gauge(
            "\(prefix)user_lock_oldest_hold_seconds",
            help: "Age of the oldest hold of a user lock, 0 without one."
        )
        oldestIdle = try registry.gauge(
            "\(prefix)user_lock_idle_oldest_age_seconds",
            help: "Age of the oldest entry that nobody holds or waits for, 0 without one."
        )
        timeouts = try registry.counter(
            "\(prefix)user_lock_timeouts_total",
            help: "Waits for a user lock given up at the caller's deadline."
        )
    }

    func collect(_ gauges: UserLockGauges) {
        locks.set(.held, to: gauges.held)
        locks.set(.idle, to: gauges.idle)
        waiters.set(gauges.waiters)
        oldestWait.set(gauges.oldestWait)
        oldestHold.set(gauges.oldestHold)
        oldestIdle.set(gauges.oldestIdle)
    }
}
