import PrometheusClient

/// What a metric must look like: dashboards, alerts and outside checks use these names and values.
struct ExpectedMetric {
    var name: String
    var type: MetricType
    var labels: [(name: String, values: [String])] = []
    var bounds: [Double] = []

    /// The label values of every child, for a metric that has one for each combination.
    var rows: Set<[String]> {
        labels.reduce([[]]) { rows, label in Set(rows.flatMap { row in label.values.map { row + [$0] } }) }
    }
}

enum Catalogue {
    static let calls: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    static let locks: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
    ]
    static let redis: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
    ]
    static let leases: [Double] = [1, 10, 60, 300, 600, 900, 1800, 3600, 14400]

    static let operations = [
        "acquire", "release", "describe", "keepalive", "pause", "report_unhealthy", "exec", "list", "stats", "explain",
        "create", "reap", "kill", "reconcile", "extend", "fill",
    ]
    static let reasons = [
        "invalid_argument", "unauthenticated", "not_found", "route_not_found", "method_not_allowed", "stale_epoch",
        "payload_too_large", "unsupported_media_type", "header_too_large", "user_limit", "rate_limited", "total_limit",
        "cancelled", "health_check_timed_out", "health_check_unreachable", "health_check_unhealthy", "sandbox_gone",
        "connect_timed_out", "create_timed_out", "kill_timed_out", "exec_timed_out", "provider_rejected",
        "provider_unauthorized", "provider_protocol", "provider_rate_limited", "provider_quota", "provider_unavailable",
        "breaker_open", "store_unavailable", "draining", "overloaded", "releasing", "creation_in_progress",
        "unsupported",
        "internal", "deadline_exceeded",
    ]
    static let codes = [
        "200", "201", "202", "204", "400", "401", "404", "409", "413", "429", "500", "502", "503", "504", "other",
    ]
    static let sandbox = "/v1/users/{user}/projects/{project}/sandbox"
    /// Each route with the methods it answers.
    static let routes: [(route: String, methods: [String])] = [
        (sandbox, ["PUT", "GET", "HEAD", "DELETE"]),
        ("\(sandbox)/keepalive", ["POST"]),
        ("\(sandbox)/pause", ["POST"]),
        ("\(sandbox)/report-unhealthy", ["POST"]),
        ("\(sandbox)/exec", ["POST"]),
        ("/v1/sandboxes", ["GET", "HEAD"]),
        ("/v1/stats", ["GET", "HEAD"]),
        ("/v1/explain/{user}/{project}", ["GET", "HEAD"]),
        ("/v1/admin/stop-creates", ["POST"]),
        ("/v1/admin/resume-creates", ["POST"]),
        ("/v1/admin/drain", ["POST"]),
        ("/metrics", ["GET", "HEAD"]),
        ("/healthz", ["GET", "HEAD"]),
        ("/readyz", ["GET", "HEAD"]),
        ("other", ["other"]),
    ]

    private static let phases = [
        "rate_limit", "lock_wait", "store_lookup", "health_check", "connect", "warm_claim", "reserve", "create",
        "commit",
    ]
    private static let collections = [
        "user_locks", "leases", "intents", "kill_outbox", "warm_pool", "rate_buckets", "health_state",
        "flight_recorder", "orphans", "http_exchanges", "lease_copies", "store_journal",
    ]
    private static let upstreams = ["provider", "store"]
    private static let breakerStates = ["closed", "open", "half_open"]
    private static let providerOperations = ["create", "connect", "info", "list", "extend", "pause", "kill", "health"]
    private static let providerResults = [
        "ok", "timed_out", "dns", "refused", "reset", "tls", "http_400", "http_401", "http_403", "http_404", "http_409",
        "http_429_concurrency", "http_429_rate", "http_5xx", "malformed", "cancelled",
    ]
    private static let healthResults = [
        "ok", "timed_out", "unreachable", "unhealthy", "gone", "paused", "unauthorized", "malformed", "cancelled",
    ]
    private static let killReasons = [
        "released", "idle", "expired", "orphan", "fenced", "warm_expired", "unhealthy", "shutdown",
    ]
    private static let loops = ["reaper", "outbox", "reconciler", "pool_filler", "extender"]
    private static let redisCommands = ["get", "set", "evalsha", "ping", "other"]
    private static let redisResults = [
        "ok", "nil", "timed_out", "refused", "reset", "auth", "loading", "readonly", "protocol", "other",
    ]
    private static let faults = ["user-lock-leak", "provider-create-hang", "health-check-hang", "reaper-failure"]

    /// Metrics with a child for every combination of their label values.
    static let complete: [ExpectedMetric] =
        [
            .gauge("build_info", ("version", ["1.2.3"]), ("revision", ["abc"]), ("swift_version", ["6.3"])),
            .gauge("malloc_in_use_bytes"), .gauge("malloc_held_bytes"),
            .histogram("http_request_duration_seconds", calls, ("route", routes.map(\.route))),
            .gauge("http_requests_in_flight"), .gauge("http_connections"),
            .counter("metrics_scrapes_total", ("code", ["200", "500"])),
            .histogram("operation_duration_seconds", calls, ("operation", operations)),
            .gauge("operations_in_flight", ("operation", operations)),
            .counter("acquires_total", ("source", ["memory", "verified", "reconnected", "warm_pool", "created"])),
            .histogram("acquire_phase_duration_seconds", calls, ("phase", phases)),
            .gauge("slots_in_use", ("scope", ["total"])), .gauge("slots_limit", ("scope", ["user", "total"])),
            .gauge("user_slots_max"), .counter("limit_rejections_total", ("scope", ["user", "total"])),
            .gauge("leases", ("state", ["creating", "active", "paused", "releasing"])),
            .counter(
                "leases_ended_total",
                ("reason", ["released", "idle", "expired", "gone", "unhealthy", "fenced", "shutdown"])
            ),
            .histogram("lease_duration_seconds", leases),
            .gauge("user_locks", ("state", ["held", "idle"])), .gauge("user_lock_waiters"),
            .counter("user_locks_created_total"), .counter("user_locks_removed_total"),
            .histogram("user_lock_wait_seconds", locks), .histogram("user_lock_hold_seconds", locks),
            .gauge("user_lock_oldest_wait_seconds"), .gauge("user_lock_oldest_hold_seconds"),
            .gauge("user_lock_idle_oldest_age_seconds"), .counter("user_lock_timeouts_total"),
            .gauge("collection_entries", ("collection", collections)),
            .gauge("collection_limit_entries", ("collection", collections)),
            .gauge("collection_oldest_idle_seconds", ("collection", collections)),
            .gauge("collection_idle_limit_seconds", ("collection", collections)),
            .counter("collection_evictions_total", ("collection", collections), ("reason", ["ttl", "capacity"])),
            .counter("provider_requests_total", ("operation", providerOperations), ("result", providerResults)),
            .histogram("provider_request_duration_seconds", calls, ("operation", providerOperations)),
            .counter(
                "retries_total",
                ("operation", providerOperations + ["store"]),
                ("reason", ["timed_out", "refused", "reset", "http_429", "http_5xx", "loading"])
            ),
            .counter("retries_exhausted_total", ("operation", providerOperations + ["store"])),
            .gauge("retry_budget"), .counter("rate_limited_total", ("scope", ["user", "global"])),
            .gauge("breaker_state", ("upstream", upstreams), ("state", breakerStates)),
            .counter("breaker_transitions_total", ("upstream", upstreams), ("to", breakerStates)),
            .counter("breaker_rejections_total", ("upstream", upstreams)),
            .counter("health_checks_total", ("result", healthResults)),
            .histogram("health_check_duration_seconds", calls),
            .counter("health_checks_skipped_total", ("reason", ["fresh", "breaker_open"])),
            .counter("sandboxes_created_total", ("origin", ["acquire", "warm_pool"])),
            .counter("sandboxes_killed_total", ("reason", killReasons)),
            .gauge("kill_outbox_entries"), .gauge("kill_outbox_oldest_age_seconds"),
            .gauge("create_intents"), .gauge("create_intent_oldest_age_seconds"),
            .counter("creates_ambiguous_total", ("resolution", ["adopted", "killed", "absent"])),
            .counter("ownership_mismatches_total"),
            .counter("orphans_total", ("action", ["adopted", "killed", "observed"])),
            .gauge("ledger_sandboxes", ("account", ["creating", "leased", "paused", "warm", "killing"])),
            .gauge("provider_sandboxes", ("state", ["running", "paused"])),
            .gauge("ledger_drift", ("kind", ["untracked_at_provider", "missing_at_provider", "store_only"])),
            .gauge("warm_pool_ready"), .gauge("warm_pool_target"), .gauge("warm_pool_pending"),
            .counter("warm_pool_claims_total", ("result", ["hit", "miss", "stale"])),
            .counter("sandbox_seconds_total", ("use", ["leased_busy", "leased_idle", "warm", "killing"])),
            .gauge("store_mode", ("mode", ["memory", "redis", "degraded"])),
            .counter("redis_commands_total", ("command", redisCommands), ("result", redisResults)),
            .histogram("redis_command_duration_seconds", redis, ("command", redisCommands)),
            .gauge("redis_connections", ("state", ["connected", "connecting"])),
            .counter("redis_reconnects_total", ("result", ["ok", "failed"])),
            .counter("cache_lookups_total", ("result", ["hit", "miss", "error"])),
            .counter("loop_runs_total", ("loop", loops), ("result", ["ok", "failed", "partial"])),
            .gauge("loop_last_success_timestamp_seconds", ("loop", loops)),
            .gauge("loop_interval_seconds", ("loop", loops)),
            .histogram("loop_duration_seconds", calls, ("loop", loops)),
            .counter("loop_items_total", ("loop", loops), ("outcome", ["scanned", "acted", "failed"])),
            .gauge("fault_injection_active", ("fault", faults)),
        ] + process

    /// By the convention of all client libraries, without our prefix.
    private static let process: [ExpectedMetric] = [
        ExpectedMetric(name: "process_cpu_seconds_total", type: .counter),
        ExpectedMetric(name: "process_resident_memory_bytes", type: .gauge),
        ExpectedMetric(name: "process_virtual_memory_bytes", type: .gauge),
        ExpectedMetric(name: "process_start_time_seconds", type: .gauge),
        ExpectedMetric(name: "process_open_fds", type: .gauge),
        ExpectedMetric(name: "process_max_fds", type: .gauge),
        ExpectedMetric(name: "process_threads", type: .gauge),
    ]

    /// Metrics of whose combinations only those exist that can occur.
    static let partial: [ExpectedMetric] = [
        .counter("operations_total", ("operation", operations), ("result", ["ok"] + reasons)),
        .counter(
            "http_requests_total",
            ("route", routes.map(\.route)),
            ("method", ["PUT", "GET", "HEAD", "DELETE", "POST", "other"]),
            ("code", codes)
        ),
    ]
}

extension ExpectedMetric {
    fileprivate static func counter(_ name: String, _ labels: (name: String, values: [String])...) -> Self {
        ExpectedMetric(name: "sandbox_manager_" + name, type: .counter, labels: labels)
    }

    fileprivate static func gauge(_ name: String, _ labels: (name: String, values: [String])...) -> Self {
        ExpectedMetric(name: "sandbox_manager_" + name, type: .gauge, labels: labels)
    }

    fileprivate static func histogram(
        _ name: String,
        _ bounds: [Double],
        _ labels: (name: String, values: [String])...
    ) -> Self {
        ExpectedMetric(name: "sandbox_manager_" + name, type: .histogram, labels: labels, bounds: bounds)
    }
}
