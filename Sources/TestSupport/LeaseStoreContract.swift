public import SandboxCore

/// A store broke its contract.
public struct ContractBreach: Error, CustomStringConvertible {
    /// What was expected, and where.
    public let description: String
}

/// Throws unless `condition` holds.
///
/// - Parameters:
///   - condition: What the contract demands.
///   - words: What it means.
///   - file: Where it is checked.
///   - line: Where it is checked.
/// - Throws: ``ContractBreach``.
public func check(
    _ condition: Bool,
    _ words: @autoclosure () -> String = "a condition does not hold",
    file: String = #fileID,
    line: Int = #line
) throws(ContractBreach) {
    guard !condition else { return }
    throw ContractBreach(description: "\(file):\(line): \(words())")
}

/// What every store must do, whatever keeps its truth: one function for each part, for one test each.
///
/// Each part makes stores of its own. Times are counted in units, so that a store with a clock of its own is tested in
/// little time.
public struct LeaseStoreContract: Sendable {
    /// A store, and how to let time pass for it.
    public struct Subject: Sendable {
        /// The store.
        public var store: any SharedLeaseStore
        /// Another replica's view of the same truth; the same object if only one can share it.
        public var other: any SharedLeaseStore
        /// How long a unit lasts on the store's clock.
        public var unit: Duration
        /// Returns when so much has passed on the store's clock.
        public var pass: @Sendable (Duration) async throws -> Void
        /// What is held right now.
        public var usage: @Sendable () async throws -> StoreUsage
        /// Ends what was begun for it.
        public var end: @Sendable () async -> Void

        /// Bundles the six.
        public init(
            store: any SharedLeaseStore,
            other: any SharedLeaseStore,
            unit: Duration,
            pass: @escaping @Sendable (Duration) async throws -> Void,
            usage: @escaping @Sendable () async throws -> StoreUsage,
            end: @escaping @Sendable () async -> Void = {}
        ) {
            self.store = store
            self.other = other
            self.unit = unit
            self.pass = pass
            self.usage = usage
            self.end = end
        }

        /// So many units.
        func units(_ count: Int) -> Duration { unit * count }
    }

    private let make: @Sendable () async throws -> Subject

    /// - Parameter make: Makes a store that holds nothing.
    public init(_ make: @escaping @Sendable () async throws -> Subject) { self.make = make }

    /// Runs a part on a store of its own.
    func run(_ part: (Subject) async throws -> Void) async throws {
        let subject = try await make()
        do {
            try await part(subject)
        } catch {
            await subject.end()
            throw error
        }
        await subject.end()
    }
}

// MARK: What parts share

extension LeaseStoreContract.Subject {
    func key(_ user: String = "alice", _ project: String = "p1") throws -> LeaseKey {
        try LeaseKey(user: user, project: project)
    }

    func request(
        _ key: LeaseKey,
        _ token: String,
        owner: String = "me",
        perUser: Int = 2,
        total: Int = 3
    ) -> ReservationRequest {
        ReservationRequest(
            key: key,
            owner: owner,
            token: CreationToken(token),
            limits: SlotLimits(perUser: perUser, total: total),
            intentDeadline: .seconds(195)
        )
    }

    /// The lease that a creation of this token makes: `sb-<token>`, idle for 50 units, living for much longer.
    func record(_ key: LeaseKey, _ epoch: Epoch, _ token: String, sandbox: String? = nil) -> LeaseRecord {
        LeaseRecord(
            key: key,
            epoch: epoch,
            token: CreationToken(token),
            sandbox: ProviderSandbox(
                id: SandboxID(sandbox ?? "sb-\(token)"),
                template: "base",
                domain: "sandbox.example",
                envdAccessToken: Secret("s"),
                remainingLife: .seconds(800)
            ),
            createdAt: WallTime(sinceEpoch: .seconds(1_800_000_000)),
            age: .zero,
            idle: .zero,
            idleTimeout: units(50)
        )
    }

    func reserved(_ key: LeaseKey, _ token: String, line: Int = #line) async throws -> Epoch {
        let outcome = try await store.reserve(request(key, token))
        guard case .reserved(let epoch) = outcome else {
            throw ContractBreach(description: "line \(line): not reserved: \(outcome)")
        }
        return epoch
    }

    func leased(_ key: LeaseKey, _ token: String, line: Int = #line) async throws -> Epoch {
        let epoch = try await reserved(key, token, line: line)
        try check(try await store.commit(record(key, epoch, token)) == epoch, "not committed", line: line)
        return epoch
    }

    func ticket(
        _ token: String,
        _ key: LeaseKey?,
        reason: KillReason = .released,
        epoch: Epoch? = nil
    ) -> KillTicket {
        let sandbox = SandboxID("sb-\(token)")
        return KillTicket(sandbox: sandbox, token: CreationToken(token), key: key, reason: reason, epoch: epoch)
    }

    func lease(of key: LeaseKey, line: Int = #line) async throws -> LeaseRecord {
        let entry = try await store.lookup(key)
        guard case .lease(let record)? = entry else {
            throw ContractBreach(description: "line \(line): not leased: \(String(describing: entry))")
        }
        return record
    }

    func checkEmpty(line: Int = #line) async throws {
        let usage = try await usage()
        try check(usage == StoreUsage(), "something stayed: \(usage)", line: line)
    }
}
