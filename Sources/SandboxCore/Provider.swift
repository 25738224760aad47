/// What makes and ends sandboxes: E2B, bubblewrap on this machine, or a simulation.
///
/// Every call carries its own time limit and obeys task cancellation; the manager enforces a limit of its own on top,
/// so that a provider that ignores both delays nobody. Calls may run concurrently, also for one sandbox.
public protocol SandboxProvider: Sendable {
    /// The name that replies and logs show: `e2b`, `local`, `simulated`.
    var name: String { get }
    /// What this provider can do beyond creating and killing.
    var capabilities: ProviderCapabilities { get }

    /// Makes a sandbox and returns once it can be used.
    ///
    /// - Throws: ``ProviderError``; its `effect` says whether a sandbox may exist nevertheless.
    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox

    /// What the control plane knows of a sandbox; `nil` only when it says that there is none (404).
    func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo?

    /// All sandboxes that match, over all pages.
    func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo]

    /// Attaches to a sandbox, resuming it when it is paused; its remaining life is then at least `life`.
    func connect(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> ConnectedSandbox

    /// Moves the expiry to `life` from now and returns the remaining life the provider really grants.
    ///
    /// - Throws: `.gone` when there is no such running sandbox.
    func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration

    /// Stops the sandbox and keeps its state; already paused is success.
    func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError)

    /// Ends the sandbox. Both outcomes confirm that it no longer exists.
    func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome

    /// One probe. Never throws: whatever goes wrong is a verdict, and `.gone` only on the control plane's word.
    func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict

    /// Runs one command inside the sandbox to its end.
    ///
    /// - Throws: `.gone` when the sandbox ended before or meanwhile, `.unsupported` where commands cannot be run.
    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult

    /// Closes connections; for providers whose sandboxes die with the process, ends them.
    func shutdown() async
}

/// What a provider can do beyond creating and killing.
public struct ProviderCapabilities: Sendable, Hashable {
    /// Whether ``SandboxProvider/pause(_:timeout:)`` works.
    public var canPause: Bool
    /// Whether sandboxes live on when this process ends; if not, shutdown kills them.
    public var outlivesProcess: Bool

    /// Names both.
    public init(canPause: Bool, outlivesProcess: Bool) {
        self.canPause = canPause
        self.outlivesProcess = outlivesProcess
    }
}

/// The manager's own labels on a sandbox, by which it is found again and its owner verified (I5).
public struct SandboxLabels: Sendable, Hashable {
    /// Whose it is.
    public var key: LeaseKey
    /// Which creation made it.
    public var token: CreationToken
    /// Which fleet of managers it belongs to, in an account shared with others.
    public var environment: String
    /// The lease generation it was made for.
    public var epoch: Epoch

    /// Bundles the four.
    public init(key: LeaseKey, token: CreationToken, environment: String, epoch: Epoch) {
        self.key = key
        self.token = token
        self.environment = environment
        self.epoch = epoch
    }

    /// The metadata names that callers may not use (S3).
    public static let reservedMetadataNames: Set<String> = [
        "user_id", "project_id", "sandbox_manager_key", "sandbox_manager_token", "sandbox_manager_environment",
        "sandbox_manager_epoch",
    ]
}

/// An order for one sandbox.
public struct CreateRequest: Sendable, Hashable {
    /// The provider's name for what to boot.
    public var template: String
    /// The caller's own metadata; never holds a reserved name.
    public var metadata: [String: String]
    /// Environment variables for everything that runs inside.
    public var environment: [String: Secret]
    /// How long the sandbox may live unless extended (the dead-man's switch).
    public var life: Duration
    /// The manager's labels.
    public var labels: SandboxLabels

    /// Bundles the order.
    public init(
        template: String,
        metadata: [String: String],
        environment: [String: Secret],
        life: Duration,
        labels: SandboxLabels
    ) {
        self.template = template
        self.metadata = metadata
        self.environment = environment
        self.life = life
        self.labels = labels
    }
}

/// A sandbox as its maker describes it: all that is needed to reach it.
public struct ProviderSandbox: Sendable, Hashable {
    /// What stays the same as time passes: books, memory and answers refer to it, and copy it only to change it.
    final class Access: Sendable, Hashable {
        struct Values: Sendable, Hashable {
            var id: SandboxID
            var template: String
            var domain: String?
            var envdAccessToken: Secret?
            var trafficAccessToken: Secret?
        }

        let values: Values

        init(_ values: Values) { self.values = values }

        static func == (left: Access, right: Access) -> Bool { left === right || left.values == right.values }

        func hash(into hasher: inout Hasher) { hasher.combine(values) }
    }

    private(set) var access: Access

    /// The provider's name for it.
    public var id: SandboxID {
        get { access.values.id }
        set { change { $0.id = newValue } }
    }
    /// What it was booted from.
    public var template: String {
        get { access.values.template }
        set { change { $0.template = newValue } }
    }
    /// Where its ports are reached, if the provider said so.
    public var domain: String? {
        get { access.values.domain }
        set { change { $0.domain = newValue } }
    }
    /// Opens its control interface.
    public var envdAccessToken: Secret? {
        get { access.values.envdAccessToken }
        set { change { $0.envdAccessToken = newValue } }
    }
    /// Opens its user ports where those are closed.
    public var trafficAccessToken: Secret? {
        get { access.values.trafficAccessToken }
        set { change { $0.trafficAccessToken = newValue } }
    }
    /// A lower bound of its remaining life at the moment the call returned.
    public var remainingLife: Duration

    /// Bundles the description.
    public init(
        id: SandboxID,
        template: String,
        domain: String? = nil,
        envdAccessToken: Secret? = nil,
        trafficAccessToken: Secret? = nil,
        remainingLife: Duration
    ) {
        access = Access(
            Access.Values(
                id: id,
                template: template,
                domain: domain,
                envdAccessToken: envdAccessToken,
                trafficAccessToken: trafficAccessToken
            )
        )
        self.remainingLife = remainingLife
    }

    init(_ access: Access, remainingLife: Duration) {
        self.access = access
        self.remainingLife = remainingLife
    }

    private mutating func change(_ change: (inout Access.Values) -> Void) {
        var values = access.values
        change(&values)
        if values != access.values { access = Access(values) }
    }
}

/// Whether a sandbox runs. An unknown word of the provider is read as `running`: it exists and costs money.
public enum SandboxState: String, Sendable, Hashable, CaseIterable {
    /// It runs and its life ticks away.
    case running
    /// Its state is kept, it does not run, and it has no expiry.
    case paused
}

/// What the control plane says of one sandbox.
public struct SandboxInfo: Sendable, Hashable {
    /// How to reach it; tokens may be missing in listings.
    public var sandbox: ProviderSandbox
    /// Whether it runs.
    public var state: SandboxState
    /// When it was started or last resumed.
    public var startedAt: WallTime
    /// All metadata, the reserved names included.
    public var metadata: [String: String]
    /// The manager's labels, if all are there and well-formed.
    public var labels: SandboxLabels?

    /// Bundles the description.
    public init(
        sandbox: ProviderSandbox,
        state: SandboxState,
        startedAt: WallTime,
        metadata: [String: String],
        labels: SandboxLabels?
    ) {
        self.sandbox = sandbox
        self.state = state
        self.startedAt = startedAt
        self.metadata = metadata
        self.labels = labels
    }
}

/// Which sandboxes to list; only ours, in our environment.
public enum SandboxFilter: Sendable, Hashable {
    /// All of an environment.
    case environment(String)
    /// Those that one creation made: none, one, or more after blind retries of something in between.
    case token(CreationToken, environment: String)
    /// Those of one key. Owners must still be compared afterwards.
    case key(LeaseKey, environment: String)
}

/// A sandbox that was attached to.
public struct ConnectedSandbox: Sendable, Hashable {
    /// How to reach it.
    public var sandbox: ProviderSandbox
    /// Whether it was paused and has been resumed.
    public var resumed: Bool

    /// Bundles both.
    public init(sandbox: ProviderSandbox, resumed: Bool) {
        self.sandbox = sandbox
        self.resumed = resumed
    }
}

/// How a kill found the sandbox; both mean that it no longer exists.
public enum KillOutcome: Sendable, Hashable {
    /// It lived and was ended (204).
    case killed
    /// There was none (404).
    case alreadyGone
}

/// A command to run inside a sandbox.
public struct ExecRequest: Sendable, Hashable {
    /// The program and its arguments; not a shell line. At least one element, none with a NUL.
    public var command: [String]
    /// What the program reads.
    public var standardInput: [UInt8]
    /// After this the command's process group is killed and the result says so.
    public var timeout: Duration
    /// The most that is kept of each output stream, in bytes; the rest is read and dropped.
    public var outputLimit: Int

    /// Bundles the command.
    public init(command: [String], standardInput: [UInt8] = [], timeout: Duration, outputLimit: Int = 1 << 20) {
        self.command = command
        self.standardInput = standardInput
        self.timeout = timeout
        self.outputLimit = outputLimit
    }
}

/// What a command left behind.
public struct ExecResult: Sendable, Hashable {
    /// Raw bytes of standard output, at most the limit.
    public var standardOutput: [UInt8]
    /// Raw bytes of standard error, at most the limit.
    public var standardError: [UInt8]
    /// The exit code, or `nil` when a signal ended it.
    public var exitCode: Int?
    /// The signal that ended it.
    public var signal: Int?
    /// Whether its time limit ended it.
    public var timedOut: Bool
    /// Whether a stream was longer than the limit.
    public var truncated: Bool

    /// Bundles the result.
    public init(
        standardOutput: [UInt8],
        standardError: [UInt8],
        exitCode: Int?,
        signal: Int? = nil,
        timedOut: Bool = false,
        truncated: Bool = false
    ) {
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.exitCode = exitCode
        self.signal = signal
        self.timedOut = timedOut
        self.truncated = truncated
    }
}

/// The result of one probe.
public enum HealthVerdict: Sendable, Hashable {
    /// It answered.
    case alive
    /// No answer within the time given. Unknown, not dead (I8).
    case timedOut(after: Duration)
    /// The way to it is broken: connection refused, routing failed. Unknown, not dead.
    case unreachable(String)
    /// It is there and says that it is not well.
    case unhealthy(String)
    /// The control plane says that it does not exist.
    case gone
    /// It exists and is paused.
    case paused
    /// Our credentials were refused.
    case unauthorized
    /// The answer made no sense.
    case malformed(String)
    /// The probe was given up by us.
    case cancelled
}
