/// What the operating system says of this process.
public struct ProcessSample: Sendable, Hashable {
    /// User and system time used.
    public var cpuSeconds = 0.0
    /// Resident memory in bytes.
    public var residentBytes = 0
    /// Virtual memory in bytes.
    public var virtualBytes = 0
    /// Open file descriptors.
    public var openFileDescriptors = 0
    /// The most file descriptors there may be.
    public var maximumFileDescriptors = 0
    /// Threads.
    public var threads = 0
    /// Live heap in bytes.
    public var heapInUseBytes = 0
    /// Heap held from the kernel in bytes.
    public var heapHeldBytes = 0

    /// All zero.
    public init() {}
}

/// Which build this is.
public struct BuildInformation: Sendable, Hashable {
    /// The release.
    public var version: String
    /// The commit.
    public var revision: String
    /// The compiler.
    public var swiftVersion: String

    /// Bundles the three.
    public init(version: String, revision: String, swiftVersion: String) {
        self.version = version
        self.revision = revision
        self.swiftVersion = swiftVersion
    }
}

/// What the HTTP servers say of themselves.
public struct ServerSample: Sendable, Hashable {
    /// Requests that are being answered.
    public var requestsInFlight = 0
    /// Open connections.
    public var connections = 0
    /// Requests that wait for asynchronous work.
    public var pending = 0
    /// How many of those there may be.
    public var pendingLimit = 0

    /// All zero.
    public init() {}
}
