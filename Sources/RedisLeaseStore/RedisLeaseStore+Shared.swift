internal import RedisClient
public import SandboxCore
internal import Synchronization

extension RedisLeaseStore {
    /// See ``SharedLeaseStore/attach()``. A store that was restarted or failed over is a new one, as it may be an older
    /// state of itself.
    public func attach() async throws(StoreError) -> StoreAttachment {
        let command = Self.attachCommand(names, owner, operations.random, tuning)
        let answer: Answer
        do throws(RedisError) {
            answer = Answer(try await client.send(command))
        } catch {
            throw StoreError(error)
        }
        let attachment = StoreAttachment(incarnation: try answer.text(0), isComplete: try answer.flag(1))
        knowledge.withLock { $0.incarnation = attachment.incarnation }
        return attachment
    }

    static func attachCommand(_ names: Names, _ owner: String, _ random: String, _ tuning: Tuning) -> RedisCommand {
        RedisCommand(
            "EVAL",
            Scripts.attach,
            "0",
            names.prefix,
            owner,
            random,
            tuning.heartbeatLife.lifeText,
            isIdempotent: true
        )
    }

    /// See ``SharedLeaseStore/beat()``. Fails soon after a second at the latest.
    public func beat() async throws(StoreError) {
        let began = ContinuousClock.now
        let answer: Answer
        do throws(StoreError) {
            answer = try await askForUsage()
        } catch {
            // A connection that broke says nothing of the server; silence does.
            guard error.kind == .unreachable, began.duration(to: .now) < .milliseconds(500) else { throw error }
            try? await Task.sleep(for: .milliseconds(100))
            answer = try await askForUsage()
        }
        var usage = StoreUsage()
        usage.slots = try answer.count(0)
        usage.largestUser = try answer.count(1)
        usage.reservations = try answer.count(2)
        usage.paused = try answer.count(4)
        usage.warm = try answer.count(9)
        usage.warmPending = try answer.count(10)
        usage.active = try answer.count(3) - usage.paused - usage.warm
        usage.outbox = try answer.count(5)
        usage.oldestKill = try answer.duration(6)
        usage.intents = try answer.count(7)
        usage.oldestIntent = try answer.duration(8)
        knowledge.withLock { $0.usage = usage }
    }

    private func askForUsage() async throws(StoreError) -> Answer {
        try await run(Scripts.beat, [tuning.heartbeatLife.lifeText], deadline: .seconds(1), retries: false)
    }

    /// See ``SharedLeaseStore/restore(_:)-(LeaseRecord)``.
    public func restore(_ lease: LeaseRecord) async throws(StoreError) -> RestoreOutcome {
        let answer = try await run(Scripts.restoreLease, [lease.key.canonical] + lease.fields)
        return try answer.epochIfAny(0).map { .kept($0) } ?? .superseded
    }

    /// See ``SharedLeaseStore/restore(_:)-(RestoredIntent)``.
    public func restore(_ intent: RestoredIntent) async throws(StoreError) {
        let request = intent.request
        _ = try await run(
            Scripts.restoreIntent,
            [
                request.key.canonical, request.token.rawValue, request.owner, intent.epoch.description,
                request.intentDeadline.text, intent.isHeld ? "1" : "0", tuning.heartbeatLife.lifeText,
            ]
        )
    }

    /// See ``SharedLeaseStore/restore(_:isDead:)``.
    public func restore(_ kill: KillTicket, isDead: Bool) async throws(StoreError) {
        _ = try await run(Scripts.restoreKill, kill.fields + [String(kill.attempts), isDead ? "1" : "0"])
    }

    /// See ``SharedLeaseStore/repair(from:)``. A step looks at some hundred entries.
    public func repair(from cursor: String?) async throws(StoreError) -> RepairedSlots {
        let position = try RepairPosition(cursor)
        let arguments = [position.phase.rawValue, position.cursor, String(tuning.repairStep)]
        let answer = try await run(Scripts.repair, arguments)
        return RepairedSlots(
            scanned: try answer.count(1),
            unjustified: try answer.count(2),
            missing: try answer.count(3),
            cursor: position.next(after: try answer.text(0))?.description
        )
    }

    /// See ``SharedLeaseStore/markComplete(_:)``.
    public func markComplete(_ incarnation: String) async throws(StoreError) {
        _ = try await run(Scripts.markComplete, [incarnation])
    }
}

/// How far a repair got.
private struct RepairPosition: CustomStringConvertible {
    enum Phase: String, CaseIterable { case slots, leases, intents, kills }

    let phase: Phase
    /// Redis' own, within the phase.
    let cursor: String

    private init(phase: Phase, cursor: String) {
        self.phase = phase
        self.cursor = cursor
    }

    /// Reads a description of one; `nil` is the beginning.
    init(_ text: String?) throws(StoreError) {
        let words = text?.split(separator: " ") ?? ["slots", "0"]
        guard words.count == 2, let phase = Phase(rawValue: String(words[0])), UInt64(words[1]) != nil else {
            throw StoreError("no cursor of a repair", kind: .refused)
        }
        self.init(phase: phase, cursor: String(words[1]))
    }

    func next(after cursor: String) -> RepairPosition? {
        if cursor != "0" { return RepairPosition(phase: phase, cursor: cursor) }
        let rest = Phase.allCases.drop { $0 != phase }.dropFirst()
        return rest.first.map { RepairPosition(phase: $0, cursor: "0") }
    }

    var description: String { "\(phase.rawValue) \(cursor)" }
}
