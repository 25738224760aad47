public import RedisClient
public import SandboxCore

/// Everything the daemon was told, checked. Secrets are ``Secret`` values, so no textual form of it shows one (I13).
public struct DaemonSettings: Sendable {
    /// The control interface.
    public var api: APISettings
    /// Where metrics and health pages are served.
    public var metrics: Listener
    /// Time limit of a request as a whole; also in ``manager``.
    public var requestDeadline: Duration
    /// Who makes the sandboxes.
    public var provider: ProviderKind
    /// Which fleet of managers a sandbox belongs to; also in ``manager``.
    public var environment: String
    /// The core's own settings. The caller sets `owner`.
    public var manager: ManagerConfiguration
    /// E2B's account and addresses; filled whatever the provider.
    public var e2b: E2BSettings
    /// The shared store.
    public var redis: RedisSettings
    /// How the daemon ends.
    public var shutdown: ShutdownSettings
    /// What is logged, and how.
    public var log: LogSettings
    /// Faults switched on for a drill; also in ``manager``. Never empty without ``allowFaults``' being true.
    public var faults: Set<Fault>
    /// Whether faults may be switched on.
    public var allowFaults: Bool
}

/// Who makes the sandboxes.
public enum ProviderKind: String, Sendable, CaseIterable, Hashable {
    /// E2B's cloud.
    case e2b
    /// bubblewrap on this machine.
    case local
    /// Nobody: for tests and drills.
    case simulated
}

/// The control interface.
public struct APISettings: Sendable, Hashable {
    /// Where it listens; beyond loopback only with a token.
    public var listener: Listener
    /// The bearer tokens that are accepted: none, one, or two during a rotation.
    public var tokens: [Secret]
    /// Connections at once, idle ones included.
    public var maxConnections: Int
    /// Requests that may wait at once; the core's `maxWaiters`.
    public var maxPendingRequests: Int
}

/// E2B's account and addresses.
public struct E2BSettings: Sendable, Hashable {
    /// Versions of the create call.
    public enum APIVersion: String, Sendable, CaseIterable, Hashable {
        /// `POST /sandboxes`.
        case v1
        /// `POST /v2/sandboxes`.
        case v2
    }

    /// The account's key; always set if the provider is E2B.
    public var apiKey: Secret?
    /// The domain from which addresses are derived.
    public var domain: String
    /// Base URL of the control plane, without a slash at its end; derived from the domain if not given.
    public var apiURL: String
    /// Base URL of the agents of all sandboxes; `nil` if each has an address of its own.
    public var sandboxURL: String?
    /// Which create call is used.
    public var apiVersion: APIVersion
    /// The longest life that the account's plan grants a sandbox, counted from its start.
    public var maxSession: Duration
}

/// The shared store; without a URL the truth lives in this process.
public struct RedisSettings: Sendable, Hashable {
    /// What happens to creates while Redis is away.
    public enum OnOutage: String, Sendable, CaseIterable, Hashable {
        /// They go on, each replica with its share of the limits.
        case degrade
        /// They are refused.
        case refuse
    }

    /// The URL as given, password included.
    public var url: Secret?
    /// The URL as it may be shown and logged.
    public var redactedURL: String?
    /// The URL taken apart.
    public var endpoint: RedisEndpoint?
    /// What happens to creates while Redis is away.
    public var onOutage: OnOutage
    /// How many replicas share the limits while Redis is away; at least 1.
    public var expectedReplicas: Int
    /// Time limit of one command.
    public var commandTimeout: Duration
}

/// How the daemon ends.
public struct ShutdownSettings: Sendable, Hashable {
    /// What becomes of the sandboxes.
    public enum Sandboxes: String, Sendable, CaseIterable, Hashable {
        /// They live on and are found again after a restart.
        case keep
        /// They are killed.
        case kill
    }

    /// What becomes of the sandboxes; local ones never outlive the daemon.
    public var sandboxes: Sandboxes
    /// How long work under way is waited for; also in the manager's configuration.
    public var timeout: Duration
}

/// What is logged, and how.
public struct LogSettings: Sendable, Hashable {
    /// The levels of swift-log, by the same names.
    public enum Level: String, Sendable, CaseIterable, Hashable {
        /// Each in the sense of swift-log.
        case trace, debug, info, notice, warning, error, critical
    }

    /// The shape of a line.
    public enum Format: String, Sendable, CaseIterable, Hashable {
        /// For people.
        case text
        /// One JSON object a line.
        case json
    }

    /// The least severe level that is logged.
    public var level: Level
    /// The shape of a line.
    public var format: Format
}
