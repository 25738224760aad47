internal import RedisClient
public import SandboxCore

extension RedisLeaseStore {
    /// See ``LeaseStore/lookup(_:)``. An id that only an earlier manager's key holds is `.unverified`.
    public func lookup(_ key: LeaseKey) async throws(StoreError) -> StoreEntry? {
        let answer = try await run(Scripts.lookup, [key.canonical])
        switch answer.first {
        case "lease": return .lease(try answer.array(1).leaseRecord())
        case "reservation": return .reservation(try answer.reservationRecord())
        case "unverified": return Self.plausibleID(try answer.bytes(1)).map { .unverified($0) }
        default: return nil
        }
    }

    /// An id as providers give them; anything else was not written by a manager.
    static func plausibleID(_ bytes: [UInt8]) -> SandboxID? {
        guard (1...256).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return SandboxID(String(decoding: bytes, as: UTF8.self))
    }

    /// See ``LeaseStore/reserve(_:)``.
    public func reserve(_ request: ReservationRequest) async throws(StoreError) -> ReserveOutcome {
        let answer = try await run(
            Scripts.reserve,
            [
                request.key.canonical, request.token.rawValue, request.intentDeadline.text,
                String(request.limits.perUser), String(request.limits.total), tuning.heartbeatLife.lifeText,
            ]
        )
        switch answer.first {
        case "reserved": return .reserved(try answer.epoch(1))
        case "leased": return .leased(try answer.array(1).leaseRecord())
        case "elsewhere": return .reservedElsewhere(try answer.reservationRecord())
        default:
            let isUsers = try answer.text(1) == "user"
            return .limited(
                LimitDenial(
                    scope: isUsers ? .user : .total,
                    limit: isUsers ? request.limits.perUser : request.limits.total,
                    inUse: try answer.count(2),
                    releasing: try answer.count(3)
                )
            )
        }
    }

    /// See ``LeaseStore/commit(_:)``.
    public func commit(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await run(Scripts.commit, [lease.key.canonical, claim.text] + lease.fields).epochIfAny(0)
    }

    /// See ``LeaseStore/adopt(_:)``. The id of an earlier manager's key does not count as something held.
    public func adopt(_ lease: LeaseRecord) async throws(StoreError) -> Epoch? {
        try await run(Scripts.adopt, [lease.key.canonical] + lease.fields).epochIfAny(0)
    }

    /// See ``LeaseStore/abandon(_:token:)``.
    public func abandon(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        _ = try await run(Scripts.abandon, [key.canonical, token.rawValue])
    }

    /// See ``LeaseStore/detachIntent(_:token:)``.
    public func detachIntent(_ key: LeaseKey, token: CreationToken) async throws(StoreError) {
        _ = try await run(Scripts.detachIntent, [token.rawValue])
    }

    /// See ``LeaseStore/end(_:epoch:idleFor:reason:)``.
    public func end(
        _ key: LeaseKey,
        epoch: Epoch,
        idleFor: Duration?,
        reason: KillReason
    ) async throws(StoreError) -> KillTicket? {
        let answer = try await run(
            Scripts.end,
            [key.canonical, epoch.description, idleFor?.text ?? "", reason.rawValue, claim.text]
        )
        guard answer.count == 2 else { return nil }
        return KillTicket(
            sandbox: try answer.sandbox(0),
            token: try answer.token(1),
            key: key,
            reason: reason,
            epoch: epoch
        )
    }

    /// See ``LeaseStore/forget(_:epoch:)``.
    public func forget(_ key: LeaseKey, epoch: Epoch) async throws(StoreError) -> Bool {
        try await run(Scripts.forget, [key.canonical, epoch.description]).flag(0)
    }

    /// See ``LeaseStore/extend(_:epoch:remaining:)``.
    public func extend(_ key: LeaseKey, epoch: Epoch, remaining: Duration) async throws(StoreError) -> Bool {
        try await run(Scripts.extend, [key.canonical, epoch.description, remaining.text]).flag(0)
    }

    /// See ``LeaseStore/setPaused(_:epoch:paused:remaining:)``.
    public func setPaused(
        _ key: LeaseKey,
        epoch: Epoch,
        paused: Bool,
        remaining: Duration
    ) async throws(StoreError) -> Bool {
        let arguments = [key.canonical, epoch.description, paused ? "1" : "0", remaining.text]
        return try await run(Scripts.setPaused, arguments).flag(0)
    }

    /// See ``LeaseStore/touch(_:)``.
    public func touch(_ uses: [LeaseUse]) async throws(StoreError) {
        // A script holds up everybody while it runs.
        for start in stride(from: 0, to: uses.count, by: 500) {
            let some = uses[start..<min(start + 500, uses.count)]
            let arguments = some.flatMap { [$0.key.canonical, $0.epoch.description, $0.age.text] }
            _ = try await run(Scripts.touch, arguments)
        }
    }

    /// See ``LeaseStore/dueLeases(limit:)``. Each is offered again after five seconds.
    public func dueLeases(limit: Int) async throws(StoreError) -> [DueLease] {
        let again = Duration.seconds(5)
        return try await run(Scripts.dueLeases, [String(limit), again.text]).rows { row throws(StoreError) in
            DueLease(
                record: try row.array(1).leaseRecord(),
                reason: KillReason(rawValue: try row.text(0)) ?? .expired
            )
        }
    }

    /// Comes before every caller's key: no character of an id comes before a plus sign.
    private static let leastKey = "+"

    /// See ``LeaseStore/list(user:limit:after:)``.
    public func list(user: String?, limit: Int, after cursor: String?) async throws(StoreError) -> LeasePage {
        // Keys of pool members come before all that callers have, and are listed only by name.
        let first = user == LeaseKey.warmUser ? "" : Self.leastKey
        var from = cursor.map { $0 < first ? "[\(first)" : "(\($0)" } ?? "[\(first)"
        // A semicolon comes right behind the colon.
        let end = user.map { "(\($0);" } ?? "+"
        if let user, cursor.map({ $0 < "\(user):" }) ?? true { from = "[\(user):" }
        let answer = try await run(Scripts.list, [String(limit), from, end])
        let leases = try answer.array(1).rows { row throws(StoreError) in try row.leaseRecord() }
        return LeasePage(leases: leases, cursor: try answer.textIfAny(0))
    }
}
