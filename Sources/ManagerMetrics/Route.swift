public import PrometheusClient

/// The routes there are, as templates: no label ever depends on who asks (I12).
public enum Route: String, MetricLabel {
    case sandbox = "/v1/users/{user}/projects/{project}/sandbox"
    case keepalive = "/v1/users/{user}/projects/{project}/sandbox/keepalive"
    case pause = "/v1/users/{user}/projects/{project}/sandbox/pause"
    case reportUnhealthy = "/v1/users/{user}/projects/{project}/sandbox/report-unhealthy"
    case exec = "/v1/users/{user}/projects/{project}/sandbox/exec"
    case sandboxes = "/v1/sandboxes"
    case stats = "/v1/stats"
    case explain = "/v1/explain/{user}/{project}"
    case metrics = "/metrics"
    case healthz = "/healthz"
    case readyz = "/readyz"
    case other

    /// `route`.
    public static var labelName: String { "route" }

    /// The methods that the route answers.
    public var methods: [String] {
        switch self {
        case .sandbox: ["PUT", "GET", "HEAD", "DELETE"]
        case .keepalive, .pause, .reportUnhealthy, .exec: ["POST"]
        case .sandboxes, .stats, .explain, .metrics, .healthz, .readyz: ["GET", "HEAD"]
        case .other: []
        }
    }
}

/// Finds the child of `http_requests_total` without building a string on the hot path.
struct RequestRows {
    static let codes = [200, 201, 202, 204, 400, 401, 404, 409, 413, 429, 500, 502, 503, 504]

    /// The label values of every child.
    let rows: [[String]]
    private let firstRow: [Route: [String: Int]]
    private let otherRow: Int

    init() {
        var rows: [[String]] = []
        var firstRow: [Route: [String: Int]] = [:]
        func append(_ route: String, _ method: String) -> Int {
            defer { rows += (Self.codes.map(String.init) + ["other"]).map { [route, method, $0] } }
            return rows.count
        }
        for route in Route.allCases {
            for method in route.methods { firstRow[route, default: [:]][method] = append(route.rawValue, method) }
        }
        otherRow = append(Route.other.rawValue, "other")
        self.rows = rows
        self.firstRow = firstRow
    }

    func row(_ route: Route, _ method: String, _ code: Int) -> Int {
        let first = firstRow[route]?[method] ?? otherRow
        return first + (Self.codes.firstIndex(of: code) ?? Self.codes.count)
    }
}
