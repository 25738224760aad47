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
    case stopCreates = "/v1/admin/stop-creates"
    case resumeCreates = "/v1/admin/resume-creates"
    case drain = "/v1/admin/drain"
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
        case .keepalive, .pause, .reportUnhealthy, .exec, .stopCreates, .resumeCreates, .drain: ["POST"]
        case .sandboxes, .stats, .explain, .metrics, .healthz, .readyz: ["GET", "HEAD"]
        case .other: []
        }
    }
}
