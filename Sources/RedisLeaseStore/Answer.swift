internal import RedisClient
internal import SandboxCore

/// What a script answered: texts, or arrays of them.
struct Answer {
    private let values: [RedisValue]

    /// Anything but an array is an empty answer, which nobody can read a field of.
    init(_ value: RedisValue) { values = value.array ?? [] }

    var count: Int { values.count }

    /// The first field, if there is one and it is a text.
    var first: String? { values.first?.text }

    func bytes(_ index: Int) throws(StoreError) -> [UInt8] {
        guard values.indices.contains(index), let bytes = values[index].bytes else { throw Self.unreadable }
        return bytes
    }

    func text(_ index: Int) throws(StoreError) -> String {
        guard let text = String(validating: try bytes(index), as: UTF8.self) else { throw Self.unreadable }
        return text
    }

    /// The text, or `nil` if it is empty.
    func textIfAny(_ index: Int) throws(StoreError) -> String? {
        let text = try text(index)
        return text.isEmpty ? nil : text
    }

    func number(_ index: Int) throws(StoreError) -> Int64 {
        guard let number = Int64(try text(index)) else { throw Self.unreadable }
        return number
    }

    func count(_ index: Int) throws(StoreError) -> Int { Int(try number(index)) }

    func flag(_ index: Int) throws(StoreError) -> Bool { try text(index) == "1" }

    func duration(_ index: Int) throws(StoreError) -> Duration { .microseconds(try number(index)) }

    func epoch(_ index: Int) throws(StoreError) -> Epoch { Epoch(try number(index)) }

    /// The epoch, or `nil` if the field is empty.
    func epochIfAny(_ index: Int) throws(StoreError) -> Epoch? { try text(index).isEmpty ? nil : try epoch(index) }

    func token(_ index: Int) throws(StoreError) -> CreationToken { CreationToken(try text(index)) }

    func sandbox(_ index: Int) throws(StoreError) -> SandboxID { SandboxID(try text(index)) }

    func key(_ index: Int) throws(StoreError) -> LeaseKey {
        guard let key = LeaseKey(canonical: try text(index)) else { throw Self.unreadable }
        return key
    }

    func array(_ index: Int) throws(StoreError) -> Answer {
        guard values.indices.contains(index), values[index].array != nil else { throw Self.unreadable }
        return Answer(values[index])
    }

    /// All fields from one on.
    func texts(from first: Int) throws(StoreError) -> [String] {
        var texts: [String] = []
        for index in values.indices.dropFirst(first) { texts.append(try text(index)) }
        return texts
    }

    /// All fields as arrays.
    func rows<Row>(_ read: (Answer) throws(StoreError) -> Row) throws(StoreError) -> [Row] {
        var rows: [Row] = []
        for index in values.indices { rows.append(try read(try array(index))) }
        return rows
    }

    private static var unreadable: StoreError { StoreError("a script answered what nobody can read", kind: .refused) }
}

extension Answer {
    /// Reads what the script's `record` wrote.
    func leaseRecord() throws(StoreError) -> LeaseRecord {
        LeaseRecord(
            key: try key(0),
            epoch: try epoch(2),
            token: try token(1),
            sandbox: ProviderSandbox(
                id: try sandbox(3),
                template: try text(4),
                domain: try textIfAny(5),
                envdAccessToken: try textIfAny(6).map { Secret($0) },
                trafficAccessToken: try textIfAny(7).map { Secret($0) },
                remainingLife: try duration(11)
            ),
            createdAt: WallTime(sinceEpoch: try duration(8)),
            age: try duration(9),
            idle: try duration(10),
            idleTimeout: try duration(12),
            isPaused: try flag(13)
        )
    }

    /// Reads owner, token, epoch and remaining time, from the second field on.
    func reservationRecord() throws(StoreError) -> ReservationRecord {
        ReservationRecord(owner: try text(1), token: try token(2), epoch: try epoch(3), remaining: try duration(4))
    }
}

extension LeaseRecord {
    /// The 13 fields that the script's `given` reads.
    var fields: [String] {
        [
            token.rawValue, epoch.description, sandbox.id.rawValue, sandbox.template, sandbox.domain ?? "",
            sandbox.envdAccessToken?.reveal() ?? "", sandbox.trafficAccessToken?.reveal() ?? "",
            String(createdAt.microseconds), age.text, idle.text, sandbox.remainingLife.text, idleTimeout.text,
            isPaused ? "1" : "0",
        ]
    }
}

extension Duration {
    /// Whole microseconds, at most some thirty years: sums of these with times are exact in a script's numbers.
    var text: String {
        let bounded = min(max(self, .seconds(-1_000_000_000)), .seconds(1_000_000_000))
        let parts = bounded.components
        return String(parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000)
    }

    /// Whole milliseconds, at least one.
    var lifeText: String { String(max(1, Int64(self / .milliseconds(1)))) }
}

extension LeaseKey {
    /// The key of a canonical name; `nil` if it is none.
    init?(canonical: some StringProtocol) {
        let parts = canonical.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        do throws(ManagerError) {
            try self.init(recorded: String(parts[0]), project: String(parts[1]))
        } catch {
            return nil
        }
    }
}

extension StoreError {
    /// What a failure of the client says about the store. The words carry no secrets: the client's own do not.
    init(_ error: RedisError) {
        let kind: Kind =
            switch error {
            case .cancelled: .cancelled
            case .server, .noScript, .invalidCommand, .unusable: .refused
            case .timedOut, .refused, .reset, .loading, .readOnly, .protocolError, .closed, .auth, .queueFull:
                .unreachable
            }
        self.init(error.description, kind: kind)
    }
}
