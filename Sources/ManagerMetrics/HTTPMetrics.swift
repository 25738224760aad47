internal import PrometheusClient
internal import SandboxCore

/// Traffic of both listeners.
struct HTTPMetrics {
    private let rows = RequestRows()
    let requests: CounterTable
    let duration: HistogramFamily<Route>
    let inFlight: Gauge
    let connections: Gauge
    let scrapes: CounterFamily<ScrapeCode>

    init(_ registry: MetricRegistry, _ prefix: String) throws(MetricError) {
        requests = try registry.counterTable(
            "\(prefix)http_requests_total",
            help: "HTTP requests by route, method and status.",
            labelNames: ["route", "method", "code"],
            rows: rows.rows
        )
        duration = try registry.histogram(
            "\(prefix)http_request_duration_seconds",
            help: "Time from header to response.",
            by: Route.self,
            buckets: Buckets.calls
        )
        inFlight = try registry.gauge("\(prefix)http_requests_in_flight", help: "HTTP requests being answered.")
        connections = try registry.gauge("\(prefix)http_connections", help: "Open HTTP connections.")
        scrapes = try registry.counter(
            "\(prefix)metrics_scrapes_total",
            help: "Pages of metrics asked for.",
            by: ScrapeCode.self
        )
    }

    func answered(_ route: Route, _ method: String, _ code: Int, took: Duration) {
        requests.increment(row: rows.row(route, method, code))
        duration.observe(route, took)
    }

    func collect(_ sample: ServerSample) {
        inFlight.set(sample.requestsInFlight)
        connections.set(sample.connections)
    }
}
