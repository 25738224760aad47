internal import PrometheusClient
internal import SandboxCore

/// Rate, errors and duration of operations, and where the time of acquires goes.
struct OperationMetrics {
    /// The children of one operation. Every request needs them, and a search by label costs more than the rest.
    private struct Children {
        let inFlight: Gauge
        let duration: Histogram
        let ok: Counter
        /// In the order of `reasons`; a reason that was not foreseen has the child of `internal`.
        let failures: [Counter]
    }

    private let operations = Array(Operation.allCases)
    private let reasons = Array(ErrorReason.allCases)
    /// In the order of `operations`.
    private let children: [Children]
    let acquires: CounterFamily<AcquireSource>
    let phases: HistogramFamily<AcquirePhase>
    let limitRejections: CounterFamily<LimitScope>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        let total = try registry.counter(
            "\(prefix)operations_total",
            help: "Operations by how they ended: ok, or the reason of the failure.",
            by: Operation.self,
            OperationResult.self,
            pairs: Operation.allCases.flatMap { operation in Self.results(of: operation).map { (operation, $0) } },
            fallback: nil
        )
        let duration = try registry.histogram(
            "\(prefix)operation_duration_seconds",
            help: "Time an operation took, failures included.",
            by: Operation.self,
            buckets: Buckets.calls
        )
        let inFlight = try registry.gauge(
            "\(prefix)operations_in_flight",
            help: "Operations under way; whoever holds or waits for a user lock is inside one.",
            by: Operation.self
        )
        acquires = try registry.counter(
            "\(prefix)acquires_total",
            help: "Acquires that were served, by where the sandbox came from.",
            by: AcquireSource.self
        )
        phases = try registry.histogram(
            "\(prefix)acquire_phase_duration_seconds",
            help: "Time that the phases of an acquire took.",
            by: AcquirePhase.self,
            buckets: Buckets.calls
        )
        limitRejections = try registry.counter(
            "\(prefix)limit_rejections_total",
            help: "Acquires refused because a limit was reached.",
            by: LimitScope.self
        )
        children = operations.map { [reasons] operation in
            let foreseen = Set(Self.results(of: operation))
            return Children(
                inFlight: inFlight[operation],
                duration: duration[operation],
                ok: total[operation, .ok],
                failures: reasons.map { reason in
                    // One that was not foreseen for the operation is a fault of ours, and counted as one.
                    total[operation, .failed(foreseen.contains(.failed(reason)) ? reason : .internal)]
                }
            )
        }
    }

    func started(_ operation: Operation) { self[operation]?.inFlight.increment() }

    func stopped(_ operation: Operation) { self[operation]?.inFlight.decrement() }

    func ended(_ operation: Operation, _ failure: ErrorReason?, took: Duration) {
        guard let children = self[operation] else { return }
        children.inFlight.decrement()
        children.duration.observe(took)
        if let failure {
            if let position = reasons.firstIndex(of: failure) { children.failures[position].increment() }
        } else {
            children.ok.increment()
        }
    }

    /// Never nil: every operation is among all of them.
    private subscript(operation: Operation) -> Children? {
        operations.firstIndex(of: operation).map { children[$0] }
    }

    /// The results that can occur.
    static func results(of operation: Operation) -> [OperationResult] {
        let provider: [ErrorReason] = [
            .providerRejected, .providerUnauthorized, .providerProtocol, .providerRateLimited, .providerQuota,
            .providerUnavailable, .breakerOpen, .sandboxGone, .unsupported, .connectTimedOut,
        ]
        let waiting: [ErrorReason] = [.overloaded, .deadlineExceeded, .cancelled, .draining]
        let health: [ErrorReason] = [.healthCheckTimedOut, .healthCheckUnreachable, .healthCheckUnhealthy]
        let creation: [ErrorReason] = [
            .createTimedOut, .userLimit, .totalLimit, .rateLimited, .releasing, .creationInProgress, .staleEpoch,
        ]
        let specific: [ErrorReason] =
            switch operation {
            case .acquire: provider + waiting + health + creation + [.invalidArgument]
            case .create: provider + health + creation + [.draining, .deadlineExceeded]
            case .release: provider + [.draining]
            case .describe: [.notFound]
            case .keepalive: provider + waiting + [.notFound]
            case .pause: provider + waiting + [.notFound, .staleEpoch, .killTimedOut]
            case .reportUnhealthy: provider + waiting + [.notFound]
            case .exec: provider + [.notFound, .draining, .execTimedOut, .cancelled]
            case .list: [.invalidArgument]
            case .stats, .explain: []
            case .reap: provider
            case .kill: provider + [.killTimedOut]
            case .reconcile, .extend: provider
            case .fill: provider + [.createTimedOut, .draining]
            }
        return [.ok] + (specific + [.storeUnavailable, .internal]).map { .failed($0) }
    }
}
