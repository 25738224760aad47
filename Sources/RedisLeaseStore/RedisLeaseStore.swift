public import RedisClient
public import SandboxCore
internal import Synchronization

/// The truth of leases, slots, intents and the kill outbox in Redis, shared by several replicas.
///
/// Each transition is one script, measured by Redis' own clock. The key `sandbox:<user>:<project>` holds the plain
/// sandbox id for as long as the sandbox lives, as earlier managers wrote and read it; everything else has names that
/// begin with `sandbox-manager:<environment>:`.
///
/// A replica that died is known by its heartbeat, see ``beat()``; ``listen()`` must run for its endings to be heard.
public final class RedisLeaseStore: SharedLeaseStore {
    /// What a store knows of the outside.
    struct Knowledge {
        var incarnation = ""
        var usage = StoreUsage()
        var hear: @Sendable (StoreNotice) -> Void = { _ in }
    }

    let client: RedisClient
    let names: Names
    let owner: String
    /// How long whoever ends a lease has the kill to themselves before the outbox worker takes it.
    let claim: Duration
    let tuning: Tuning
    let operations: OperationNames
    let acknowledgements = Acknowledgements()
    let knowledge = Mutex(Knowledge())

    /// Starts to connect; does not wait for it. Every call answers `.lost` until ``attach()`` has answered.
    ///
    /// - Parameters:
    ///   - client: Where Redis is, and how patient calls are; its greeting is replaced.
    ///   - environment: Separates stores of one Redis; 1 to 128 printable bytes, no braces.
    ///   - owner: This replica's name, unlike every other's; 1 to 128 printable bytes.
    ///   - claim: How long whoever ends a lease has the kill to themselves; a little over a kill's time limit.
    ///   - observer: Learns what the client does.
    /// - Throws: `.refused` for a name or configuration that cannot be used, or without threads.
    public convenience init(
        client: RedisConfiguration,
        environment: String,
        owner: String,
        claim: Duration = .seconds(20),
        observer: (any RedisObserver)? = nil
    ) throws(StoreError) {
        try self.init(
            client: client,
            environment: environment,
            owner: owner,
            claim: claim,
            observer: observer,
            tuning: Tuning()
        )
    }

    init(
        client configuration: RedisConfiguration,
        environment: String,
        owner: String,
        claim: Duration,
        observer: (any RedisObserver)?,
        tuning: Tuning
    ) throws(StoreError) {
        names = try Names(environment: environment, owner: owner)
        operations = OperationNames()
        self.owner = owner
        self.claim = claim
        self.tuning = tuning
        var configuration = configuration
        // No call that waited for a connection may reach a server that was restarted before that server got a new name.
        configuration.greeting = [Self.attachCommand(names, owner, operations.random, tuning)]
        do throws(RedisError) {
            client = try RedisClient(configuration: configuration, observer: observer)
        } catch {
            throw StoreError(error)
        }
    }

    /// Always `redis`.
    public var mode: StoreMode { .redis }

    /// What the last ``beat()`` learned.
    public func usage() -> StoreUsage { knowledge.withLock { $0.usage } }

    /// Answers every call with `.unreachable` from now on, and ends connections and threads.
    public func close() async { await client.close() }

    // MARK: Running scripts

    /// Runs one of ``Scripts`` with its arguments after the four that all have.
    ///
    /// The deadline is each attempt's, `nil` the client's own; without retries a lost answer is not asked for again.
    func run(
        _ script: RedisScript,
        _ arguments: [String],
        deadline: Duration? = nil,
        retries: Bool = true
    ) async throws(StoreError) -> Answer {
        let head = [names.prefix, knowledge.withLock { $0.incarnation }, owner, operations.next()]
        let words = (head + arguments).map { Array($0.utf8) }
        let answer: Answer
        do throws(RedisError) {
            // A test's way to see that every script may be repeated: only the repetition's answer counts.
            if tuning.repeatsCalls { _ = try await client.run(script, arguments: words, isIdempotent: retries) }
            let value = try await client.run(script, arguments: words, isIdempotent: retries, deadline: deadline)
            answer = Answer(value)
        } catch {
            throw StoreError(error)
        }
        guard answer.first != "lost" else {
            throw StoreError("the store is not the one that it was", kind: .lost)
        }
        return answer
    }
}

/// What tests turn.
struct Tuning: Sendable {
    /// How long a replica that says nothing counts as alive.
    var heartbeatLife: Duration = .seconds(10)
    /// How long a release waits for others to drop their copies.
    var acknowledgementLimit: Duration = .seconds(1)
    /// Entries that a repair looks at in one step.
    var repairStep = 500
    /// Whether every script is run twice, as after a lost reply.
    var repeatsCalls = false
}
