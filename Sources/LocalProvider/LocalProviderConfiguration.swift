/// What the local provider may use of this machine. All sizes are bytes.
public struct LocalProviderConfiguration: Sendable, Hashable {
    /// The bubblewrap program; `nil` looks for `bwrap` on the `PATH`. Version 0.8 or newer.
    public var bwrapPath: String?
    /// The `sandbox-init` program; `nil` looks beside the running executable, where the build puts both.
    public var initPath: String?
    /// The one template that exists here; others are refused with 404.
    public var template = "base"
    /// Size of `/home/user`, which is kept in memory. 64 MiB: room for a checkout, harmless times `maxSandboxes`.
    public var homeSizeBytes: UInt64 = 64 << 20
    /// Size of `/tmp` and of `/dev/shm`, each, kept in memory too.
    public var temporarySizeBytes: UInt64 = 32 << 20
    /// Processes in one sandbox at once, threads included. 64: a build with a few jobs fits, a fork bomb does not hurt.
    public var maxProcesses: UInt64 = 64
    /// Address space of each process. 2 GiB: runtimes reserve far more than they use, so less breaks them.
    public var maxAddressSpaceBytes: UInt64 = 2 << 30
    /// The largest file that a command may write; by default as large as the home.
    public var maxFileSizeBytes: UInt64 = 64 << 20
    /// Files that each process may have open.
    public var maxOpenFiles: UInt64 = 1024
    /// Sandboxes at once. 64 with full homes and temporary directories are 8 GiB; each also takes three descriptors.
    public var maxSandboxes = 64
    /// The most output kept of each stream whatever a request asks for, as it is held in memory. 16 MiB.
    public var maxOutputBytes = 16 << 20
    /// The user that a daemon started as root gives up root for. Outside every range that distributions hand out, so
    /// that it owns no file and no other process. Ignored when the daemon is an ordinary user: it stays that one.
    public var runAsUser: UInt32 = 1_900_000_000
    /// The group that goes with ``runAsUser``.
    public var runAsGroup: UInt32 = 1_900_000_000
    /// The host name inside.
    public var hostName = "sandbox"
    /// How long a command's background children may keep its output open after it ended. 100 ms: what they wrote is
    /// in the pipe by then, and nobody should wait for a daemon that a command left running.
    public var outputGrace: Duration = .milliseconds(100)
    /// How long after its expiry a sandbox ends by itself if this process, which should end it, does not. 10 s.
    public var expiryMargin: Duration = .seconds(10)

    /// The defaults.
    public init() {}
}
