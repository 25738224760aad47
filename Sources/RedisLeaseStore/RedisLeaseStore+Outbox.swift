internal import RedisClient
public import SandboxCore

extension RedisLeaseStore {
    /// See ``LeaseStore/dueKills(limit:claim:)``.
    public func dueKills(limit: Int, claim: Duration) async throws(StoreError) -> [KillTicket] {
        try await run(Scripts.dueKills, [String(limit), claim.text]).rows { row throws(StoreError) in
            try row.killTicket()
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
        let failure = ticket.lastFailure?.rawValue ?? ""
        let arguments = [ticket.sandbox.rawValue, String(ticket.attempts + 1), delay.text, failure]
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

extension RedisLeaseStore {
    /// See ``LeaseStore/account(of:)``. Of what is dying, only what holds one of the key's slots.
    public func account(of key: LeaseKey) async throws(StoreError) -> KeyAccount {
        let answer = try await run(Scripts.account, [key.canonical])
        var account = KeyAccount()
        account.userSlots = try answer.count(0)
        account.userReleasing = try answer.count(1)
        account.intents = try answer.array(2).rows { row throws(StoreError) in
            KeyAccount.OpenIntent(
                token: try row.token(0),
                owner: try row.text(1),
                age: try row.duration(2),
                isHeld: try row.flag(3)
            )
        }
        account.kills = try answer.array(3).rows { row throws(StoreError) in
            KeyAccount.Kill(ticket: try row.killTicket(), age: try row.duration(7), nextIn: try row.duration(8))
        }
        account.intents.sort { $0.age > $1.age }
        account.kills.sort { $0.age > $1.age }
        return account
    }
}

extension Answer {
    /// Reads what scripts tell of an outbox entry: seven fields.
    fileprivate func killTicket() throws(StoreError) -> KillTicket {
        var ticket = KillTicket(
            sandbox: try sandbox(0),
            token: try textIfAny(1).map { CreationToken($0) },
            key: try textIfAny(2).flatMap { LeaseKey(canonical: $0) },
            reason: KillReason(rawValue: try text(3)) ?? .orphan,
            attempts: try count(4),
            epoch: try epochIfAny(5)
        )
        ticket.lastFailure = ErrorReason(rawValue: try text(6))
        return ticket
    }
}

extension KillTicket {
    /// Sandbox, token, key, reason and epoch, as scripts take them.
    var fields: [String] {
        [sandbox.rawValue, token?.rawValue ?? "", key?.canonical ?? "", reason.rawValue, epoch?.description ?? ""]
    }
}
