internal import PrometheusClient
internal import SandboxCore

/// Rate, errors and duration of operations, and where the time of acquires goes.
struct OperationMetrics {
    let total: CounterFamily2<Operation, OperationResult>
    let duration: HistogramFamily<Operation>
    let inFlight: GaugeFamily<Operation>
    let acquires: CounterFamily<AcquireSource>
    let phases: HistogramFamily<AcquirePhase>
    let limitRejections: CounterFamily<LimitScope>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        total = try registry.counter(
            "\(prefix)operations_total",
            help: "Operations by how they ended: ok, or the reason of the failure.",
            by: Operation.self,
            OperationResult.self,
            pairs: Operation.allCases.flatMap { operation in Self.results(of: operation).map { (operation, $0) } },
            fallback: nil
        )
        duration = try registry.histogram(
            "\(prefix)operation_duration_seconds",
            help: "Time an operation took, failures included.",
            by: Operation.self,
            buckets: Buckets.calls
        )
        inFlight = try registry.gauge(
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
    }

    func ended(_ operation: Operation, _ failure: ErrorReason?) {
        let result = failure.map { OperationResult.failed($0) } ?? .ok
        // A reason that was not foreseen for the operation is a fault of ours, and counted as one.
        let isForeseen = Self.foreseen[operation]?.contains(result) ?? false
        total.increment(operation, isForeseen ? result : .failed(.internal))
    }

    private static let foreseen: [Operation: Set<OperationResult>] = Dictionary(
        uniqueKeysWithValues: Operation.allCases.map { ($0, Set(results(of: $0))) }
    )

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
            case .reconcile, .extend, .fill: provider
            }
        return [.ok] + (specific + [.storeUnavailable, .internal]).map { .failed($0) }
    }
}
