/// What the account may do, and how the cloud behaves.
public struct FakeE2BConfiguration: Sendable {
    /// The tier's longest session, in seconds from start or resume.
    public var tierSeconds = 3600
    /// How many sandboxes may run at once.
    public var concurrencyLimit = 1000
    /// Requests of one operation that may come at once, and how many more each second; `nil` for no limit.
    public var rateLimit: (burst: Int, perSecond: Double)?
    /// The keys that have an account; `nil` for every well-formed one.
    public var apiKeys: Set<String>?
    /// Templates that do not exist.
    public var missingTemplates: Set<String> = ["no-such-template"]
    /// Whether the `/v2/sandboxes` forms of create and connect exist.
    public var hasV2 = true
    /// The `domain` of create and connect replies; `nil` for null.
    public var domain: String?
    /// Ports of the control plane and the edge; 0 for any free one.
    public var ports: (api: UInt16, edge: UInt16) = (0, 0)

    /// The defaults.
    public init() {}
}

/// A sandbox in the fake cloud. Times are in microseconds since 1970.
struct FakeSandbox: Sendable {
    /// How its agent behaves.
    enum Agent: String, Sendable {
        case open, closed, unrouted, hung
    }

    var id: String
    var template: String
    var metadata: [String: String]
    var environment: [String: String]
    var startedAt: Int
    var endAt: Int
    var isPaused = false
    var isSecure: Bool
    var autoPause: Bool
    var autoResume: Bool
    var createTimeout: Int
    /// Before this nobody sees it.
    var visibleFrom: Int
    var agent = Agent.open

    /// Keyed by the id alone, so that it survives pause and resume.
    var token: String { "tok_" + String(id.reversed()) }
}

/// The state of the fake cloud, and its rules; no socket in sight.
struct FakeCloud: Sendable {
    var configuration: FakeE2BConfiguration
    var clock = FakeClock()
    var sandboxes: [String: FakeSandbox] = [:]
    var faults: [FakeFault] = []
    var counters: [String: Int] = [:]
    /// Every sandbox that there has ever been, by id.
    private(set) var lives: [String: FakeLife] = [:]
    var random = FakeRandom()
    var idempotency: [String: (body: JSONValue?, id: String)] = [:]
    private var buckets: [Operation: (tokens: Double, at: Int)] = [:]
    private var lastNumber = 0

    init(_ configuration: FakeE2BConfiguration) { self.configuration = configuration }

    mutating func count(_ name: String, _ number: Int = 1) { counters[name, default: 0] += number }

    /// Everything that time has brought about since the last call.
    mutating func catchUp() {
        let now = clock.now
        for (id, sandbox) in sandboxes where !sandbox.isPaused && sandbox.endAt <= now {
            if sandbox.autoPause {
                sandboxes[id]?.isPaused = true
                count("auto_paused")
            } else {
                end(id, .expired, at: sandbox.endAt)
            }
        }
    }

    /// A sandbox comes to be.
    mutating func begin(_ sandbox: FakeSandbox) {
        sandboxes[sandbox.id] = sandbox
        lives[sandbox.id] = FakeLife(id: sandbox.id, metadata: sandbox.metadata, from: clock.now)
        count("created")
        notePeak()
    }

    /// A sandbox is no more; nothing happens if there is none.
    mutating func end(_ id: String, _ how: FakeLife.End, at time: Int? = nil) {
        guard sandboxes.removeValue(forKey: id) != nil else { return }
        lives[id]?.until = time ?? clock.now
        lives[id]?.end = how
        count(how.rawValue)
    }

    /// A sandbox that can be seen.
    func sandbox(_ id: String) throws(FakeFailure) -> FakeSandbox {
        guard let sandbox = sandboxes[id], sandbox.visibleFrom <= clock.now else { throw .unknown(id) }
        return sandbox
    }

    var running: Int { sandboxes.values.count { !$0.isPaused } }

    /// A slot for one more; counted before anything is made.
    func checkConcurrency() throws(FakeFailure) {
        guard running < configuration.concurrencyLimit else {
            let limit = configuration.concurrencyLimit
            throw FakeFailure(429, "you have reached the maximum number of concurrent E2B sandboxes (\(limit)).")
        }
    }

    mutating func notePeak() {
        counters["peak_running"] = max(counters["peak_running"] ?? 0, running)
    }

    mutating func newID() -> String {
        lastNumber += 1
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return "i" + String((0..<20).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    // MARK: Rate limit

    /// Takes a token; the header fields that limited routes send with every reply.
    mutating func takeRate(_ operation: Operation) throws(FakeFailure) -> [(String, String)] {
        guard let limit = configuration.rateLimit, operation != .unknown else { return [] }
        let now = clock.now
        var bucket = buckets[operation] ?? (Double(limit.burst), now)
        let earned = Double(now - bucket.at) / 1_000_000 * limit.perSecond
        bucket = (min(Double(limit.burst), bucket.tokens + earned), now)
        let isGranted = bucket.tokens >= 1
        if isGranted { bucket.tokens -= 1 }
        buckets[operation] = bucket
        let wait = max(1, Int(((1 - bucket.tokens) / limit.perSecond).rounded(.up)))
        let fields = [
            ("RateLimit-Limit", String(limit.burst)), ("RateLimit-Remaining", String(max(0, Int(bucket.tokens)))),
            ("RateLimit-Reset", String(wait)),
        ]
        guard isGranted else {
            throw FakeFailure(429, "Rate limit exceeded", headers: fields + [("Retry-After", String(wait))])
        }
        return fields
    }

    // MARK: Faults

    /// The faults that a request runs into; each is used up by so many.
    mutating func takeFaults(_ operation: Operation, _ id: String?) -> [FakeFault] {
        var taken: [FakeFault] = []
        for index in faults.indices where faults[index].concerns(operation, id) && faults[index].times >= 0 {
            guard faults[index].share >= 1 || Double.random(in: 0..<1, using: &random) < faults[index].share
            else { continue }
            taken.append(faults[index])
            if faults[index].times == 1 {
                faults[index].times = -1
            } else if faults[index].times > 1 {
                faults[index].times -= 1
            }
        }
        faults.removeAll { $0.times < 0 }
        return taken
    }
}
