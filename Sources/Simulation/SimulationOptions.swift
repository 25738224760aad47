/// What a run is made of. Equal options give equal histories.
public struct SimulationOptions: Sendable, Equatable {
    /// What everything is drawn from.
    public var seed: UInt64
    /// How many steps faults and clients go on; then everything is mended and has to come to rest.
    public var steps = 20_000
    /// Which kinds of faults may happen; what the seed draws of others is left out.
    public var faults = Set(FaultKind.allCases)
    /// Numbers of faults of the plan that are left out.
    public var skipped: Set<Int> = []
    /// How many replicas; drawn if `nil`.
    public var replicas: Int?
    /// How many clients; drawn if `nil`.
    public var clients: Int?
    /// How many keys; drawn if `nil`.
    public var keys: Int?
    /// Faults of the core itself that a drill would switch on: for the proof that they are noticed.
    public var leaksUserLocks = false

    /// A run of this seed.
    public init(seed: UInt64) { self.seed = seed }

    /// The command that repeats the run.
    public var command: String {
        var words = ["simulate", "--seed", String(seed), "--steps", String(steps)]
        if faults.isEmpty {
            words += ["--faults", "none"]
        } else if faults.count < FaultKind.allCases.count {
            words += ["--faults", FaultKind.allCases.filter(faults.contains).map(\.rawValue).joined(separator: ",")]
        }
        if !skipped.isEmpty { words += ["--skip", skipped.sorted().map(String.init).joined(separator: ",")] }
        if let replicas { words += ["--replicas", String(replicas)] }
        if let clients { words += ["--clients", String(clients)] }
        if let keys { words += ["--keys", String(keys)] }
        if leaksUserLocks { words.append("--leak-user-locks") }
        return words.joined(separator: " ")
    }
}

/// What may go wrong in a simulation.
public enum FaultKind: String, Sendable, CaseIterable {
    /// A replica is cut off from the store.
    case partition
    /// The store's answers to a replica are lost, after the effect.
    case storeReplies = "store-replies"
    /// The store is slow for everybody; some calls are given up before they take effect.
    case storeSlow = "store-slow"
    /// The store loses everything.
    case storeLoss = "store-loss"
    /// A process ends without a word, and another one starts in its place.
    case crash
    /// A process stands still.
    case stall
    /// Calls of the provider never end.
    case hang
    /// Calls of the provider are answered with 5xx, before the effect or after it.
    case error5xx = "error-5xx"
    /// Calls of the provider are answered with 429.
    case error429 = "error-429"
    /// Connections to the provider break, before the effect or after it.
    case reset
    /// Creates take effect and nobody hears of it.
    case lostCreate = "lost-create"
    /// Listings are behind.
    case listingLag = "listing-lag"
    /// A sandbox ends that nobody ended.
    case death
    /// A sandbox does not answer probes, or says that it is ill.
    case silence
    /// A process' civil clock jumps.
    case clockStep = "clock-step"
    /// Clients give up.
    case cancel
}
