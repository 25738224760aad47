internal import SandboxCore

/// Every setting of the daemon: the one source of names, defaults, checks, help and documentation.
///
/// The order is that of the documentation. The catalogue reads the rows by reflection, so that none can be forgotten.
struct SettingTable: Sendable {
    static let standard = SettingTable()

    let config = Setting(
        "config",
        .word(),
        inFile: false,
        "Path of the YAML file that is read."
    )
    let provider = Setting(
        "provider",
        ValueKind<ProviderKind>.choice(),
        computed: "e2b with an E2B API key, else local",
        "Who makes the sandboxes: E2B's cloud, bubblewrap on this machine, or nobody (for drills)."
    )
    let environment = Setting(
        "environment",
        .label,
        computed: "default with Redis, else local-<host name>",
        "Which sandboxes of a shared account are ours; managers of one fleet have the same."
    )

    let apiListen = Setting(
        "api.listen",
        .listener,
        default: "127.0.0.1:8484",
        "Where the control interface listens. Beyond loopback a token is required."
    )
    let apiToken = Setting(
        "api.token",
        .tokens,
        "Bearer token of the control interface; two, separated by a comma, during a rotation."
    )
    let apiTokenSecondary = Setting(
        "api.tokenSecondary",
        .secret,
        "A second token that is accepted during a rotation, if api.token holds only one."
    )
    let apiMaxConnections = Setting(
        "api.maxConnections",
        .integer(1...1_000_000),
        default: "4096",
        "Connections to the control interface at once, idle ones included."
    )
    let apiMaxPendingRequests = Setting(
        "api.maxPendingRequests",
        .integer(1...1_000_000),
        default: "4096",
        "Requests that may wait at once; more are refused as overloaded."
    )
    let metricsListen = Setting(
        "metrics.listen",
        .listener,
        default: "127.0.0.1:9484",
        "Where /metrics, /healthz and /readyz are served."
    )
    let requestDeadline = Setting(
        "request.deadlineSeconds",
        .seconds(),
        default: "90",
        "Time limit of a request as a whole."
    )

    let limitsPerUser = Setting(
        "limits.perUser",
        .integer(1...1_000_000),
        default: "2",
        "Sandboxes that one user may hold at once."
    )
    let limitsTotal = Setting(
        "limits.total",
        .integer(1...1_000_000),
        default: "100",
        "Sandboxes that all users together may hold at once, warm ones included."
    )
    let rateCreates = Setting(
        "rate.createsPerUserPerMinute",
        .integer(0...1_000_000),
        default: "30",
        "Creations that one user may start a minute in the long run; 0 switches the limit off."
    )
    let rateBurst = Setting(
        "rate.burst",
        .integer(0...1_000_000),
        default: "10",
        "Creations that one user may start at once after a pause; 0 switches the limit off."
    )

    let leaseTemplate = Setting(
        "lease.template",
        .word(),
        default: "base",
        "Template that is booted when a request names none."
    )
    let leaseIdleTimeout = Setting(
        "lease.idleTimeoutSeconds",
        .seconds(from: .seconds(15)),
        default: "500",
        "How long a lease may lie idle; at most lease.maxAgeSeconds."
    )
    let leaseGrace = Setting(
        "lease.graceSeconds",
        .seconds(),
        default: "300",
        "How much longer than the idle timeout a sandbox lives if every manager is dead."
    )
    let leaseMaxAge = Setting(
        "lease.maxAgeSeconds",
        .seconds(from: .seconds(15)),
        default: "3600",
        "How long a lease may live at all."
    )
    let leasePausedMaxAge = Setting(
        "lease.pausedMaxAgeSeconds",
        .seconds(),
        default: "86400",
        "How long a paused sandbox is kept."
    )

    let createTimeout = Setting(
        "create.timeoutSeconds",
        .seconds(),
        default: "75",
        "Time limit of one attempt to create; E2B's own is 70 s, and ours should be longer."
    )
    let createRetries = Setting(
        "create.retries",
        .integer(0...10),
        default: "2",
        "Attempts to create after the first."
    )
    let createRetryDelay = Setting(
        "create.retryDelaySeconds",
        .seconds(zeroAllowed: true),
        default: "1",
        "First pause between attempts to create; doubles, with jitter."
    )
    let connectTimeout = Setting(
        "connect.timeoutSeconds",
        .seconds(),
        default: "5",
        "Time limit of connect, info, list and extend calls."
    )
    let killTimeout = Setting(
        "kill.timeoutSeconds",
        .seconds(),
        default: "15",
        "Time limit of one kill call."
    )
    let healthTimeout = Setting(
        "health.timeoutSeconds",
        .seconds(),
        default: "5",
        "Time limit of one probe of a sandbox."
    )
    let healthFreshWindow = Setting(
        "health.freshWindowSeconds",
        .seconds(zeroAllowed: true),
        default: "30",
        "How long after its last use a lease is handed out without waiting for a probe."
    )

    let reaperInterval = Setting(
        "reaper.intervalSeconds",
        .seconds(),
        default: "30",
        "Pause between searches for leases that are due."
    )
    let reconcilerInterval = Setting(
        "reconciler.intervalSeconds",
        .seconds(),
        default: "300",
        "Pause between comparisons of the store with the provider."
    )
    let reconcilerGrace = Setting(
        "reconciler.graceSeconds",
        .seconds(),
        default: "120",
        "How long a sandbox of ours may be nobody's before it is killed."
    )
    let reconcilerMode = Setting(
        "reconciler.mode",
        ValueKind<ReconcilerPolicy.Mode>.choice(),
        default: "repair",
        "Whether differences are put right or only counted."
    )
    let breakerFailureRatio = Setting(
        "breaker.failureRatio",
        .number(above: 0, through: 1),
        default: "0.5",
        "Share of failed or slow calls that opens the breaker."
    )
    let breakerSlowCall = Setting(
        "breaker.slowCallSeconds",
        .seconds(),
        default: "10",
        "From when on a call counts as slow."
    )
    let breakerMinimumCalls = Setting(
        "breaker.minimumCalls",
        .integer(1...1_000_000),
        default: "10",
        "Calls that must have been seen before the breaker may open."
    )
    let breakerOpen = Setting(
        "breaker.openSeconds",
        .seconds(),
        default: "15",
        "How long the breaker stays open before it tries again."
    )
    let poolTarget = Setting(
        "pool.target",
        .integer(0...1_000_000),
        default: "0",
        "Sandboxes kept ready ahead of demand; 0 switches the pool off."
    )
    let poolPerSecond = Setting(
        "pool.perSecond",
        .number(above: 0, through: 1000),
        default: "1",
        "How many sandboxes a second the pool makes at most."
    )

    let redisURL = Setting(
        "redis.url",
        .redisURL,
        "Redis with the shared store; without it the store lives in this process. Also unix:///path/to/socket?db=0 "
            + "and redis+sentinel://host:port,host:port/master-name/db."
    )
    let redisOnOutage = Setting(
        "redis.onOutage",
        ValueKind<RedisSettings.OnOutage>.choice(),
        default: "degrade",
        "While Redis is away: go on creating, each replica with its share of the limits, or refuse."
    )
    let redisExpectedReplicas = Setting(
        "redis.expectedReplicas",
        .integer(1...1000),
        default: "1",
        "How many replicas share the limits while Redis is away."
    )
    let redisCommandTimeout = Setting(
        "redis.commandTimeoutSeconds",
        .seconds(),
        default: "1",
        "Time limit of one Redis command."
    )

    let e2bAPIKey = Setting(
        "e2b.apiKey",
        .secret,
        "API key of the E2B account."
    )
    let e2bDomain = Setting(
        "e2b.domain",
        .host,
        default: "e2b.app",
        "Domain from which E2B's addresses are derived."
    )
    let e2bAPIURL = Setting(
        "e2b.apiURL",
        .webURL,
        computed: "https://api.<e2b.domain>",
        "Base URL of E2B's control plane."
    )
    let e2bSandboxURL = Setting(
        "e2b.sandboxURL",
        .webURL,
        computed: "each sandbox's own address",
        "One base URL for the agents of all sandboxes."
    )
    let e2bAPIVersion = Setting(
        "e2b.apiVersion",
        ValueKind<E2BSettings.APIVersion>.choice(),
        default: "v1",
        "Version of E2B's create call."
    )
    let e2bMaxSession = Setting(
        "e2b.maxSessionSeconds",
        .seconds(from: .seconds(15)),
        default: "3600",
        "Longest life that the E2B account's plan grants a sandbox."
    )

    let shutdownSandboxes = Setting(
        "shutdown.sandboxes",
        ValueKind<ShutdownSettings.Sandboxes>.choice(),
        default: "keep",
        "Whether sandboxes live on when the daemon ends; local ones never do."
    )
    let shutdownTimeout = Setting(
        "shutdown.timeoutSeconds",
        .seconds(zeroAllowed: true),
        default: "25",
        "How long the end waits for work under way."
    )
    let logLevel = Setting(
        "log.level",
        ValueKind<LogSettings.Level>.choice(),
        default: "info",
        "Least severe level that is logged."
    )
    let logFormat = Setting(
        "log.format",
        ValueKind<LogSettings.Format>.choice(),
        default: "text",
        "Shape of a log line: for people, or one JSON object."
    )
    let faults = Setting(
        "faults",
        ValueKind<Fault>.choices(),
        "Faults switched on for a drill; refused without allowFaults."
    )
    let allowFaults = Setting(
        "allowFaults",
        .onOff,
        default: "false",
        inFile: false,
        "Lets faults be switched on. Never in production."
    )
}
