internal import RedisClient
public import SandboxCore

extension RedisLeaseStore {
    /// See ``LeaseStore/dueKills(limit:claim:)``.
    public func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket] {
        try await run(Scripts.dueKills, [String(limit), claim.text]).rows { row throws(StoreError) in
            KillTicket(
                sandbox: try row.sandbox(0),
                token: try row.textIfAny(1).map { CreationToken($0) },
                key: try row.textIfAny(2).flatMap { LeaseKey(canonical: $0) },
                reason: KillReason(rawValue: try row.text(3)) ?? .orphan,
                attempts: try row.count(4)
            )
        }
    }

    /// See ``LeaseStore/enqueueKill(_:)``.
    public func enqueueKill(_ ticket: KillTicket) async throws(StoreError) {
        _ = try await run(Scripts.enqueueKill, ticket.fields)
    }

    /// See ``LeaseStore/confirmKilled(_:)``.
    public func confirmKilled(_ ticket: KillTicket) async throws(StoreError) -> Bool {
        try await run(Scripts.confirmKilled, [ticket.sandbox.rawValue]).flag(0)
    }

    /// See ``LeaseStore/deferKill(_:by:)``.
    public func deferKill(_ ticket: KillTicket, by delay: Duration) async throws(StoreError) {
        // Counted from the ticket that failed: a repetition counts once.
        let arguments = [ticket.sandbox.rawValue, String(ticket.attempts + 1), delay.text]
        _ = try await run(Scripts.deferKill, arguments)
    }

    /// See ``LeaseStore/dueIntents(limit:claim:)``. Those of a replica that died are due at once.
    public func dueIntents(limit: Int, claim: Duration) async throws(StoreError) -> [Intent] {
        let arguments = [String(limit), claim.text, tuning.heartbeatLife.lifeText]
        return try await run(Scripts.dueIntents, arguments).rows { row throws(StoreError) in
            Intent(
                token: try row.token(0),
                key: try row.key(1),
                epoch: try row.epoch(2),
                age: try row.duration(3),
                isHeld: try row.flag(4)
            )
        }
    }

    /// See ``LeaseStore/isTaken(_:)``.
    public func isTaken(_ slot: CreationToken) async throws(StoreError) -> Bool {
        try await run(Scripts.isTaken, [slot.rawValue]).flag(0)
    }

    /// See ``LeaseStore/unaccounted(_:)``.
    public func unaccounted(_ listed: [ListedSandbox]) async throws(StoreError) -> Set<SandboxID> {
        let arguments = listed.flatMap { [$0.id.rawValue, $0.token.rawValue, $0.key.canonical] }
        return Set(try await run(Scripts.unaccounted, arguments).texts(from: 1).map { SandboxID($0) })
    }

    /// See ``LeaseStore/takeDuty(_:for:)``.
    public func takeDuty(_ duty: Duty, for term: Duration) async throws(StoreError) -> Bool {
        try await run(Scripts.takeDuty, [duty.rawValue, term.lifeText]).flag(0)
    }

    /// See ``LeaseStore/resolveIntent(_:found:)``.
    public func resolveIntent(_ intent: Intent, found: [SandboxID]) async throws(StoreError) {
        _ = try await run(Scripts.resolveIntent, [intent.token.rawValue] + found.map(\.rawValue))
    }
}

extension KillTicket {
    /// Sandbox, token, key and reason, as scripts take them.
    var fields: [String] { [sandbox.rawValue, token?.rawValue ?? "", key?.canonical ?? "", reason.rawValue] }
}
