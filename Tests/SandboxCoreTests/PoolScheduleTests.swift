import TestSupport
import Testing

@testable import SandboxCore

@Suite struct PoolScheduleTests {
    @Test func `members are begun at the configured rate, in fractions of a second too`() {
        var schedule = PoolSchedule(perSecond: 0.5)
        #expect(schedule.begin(9, now: .at(0)) == 1)
        #expect(schedule.begin(9, now: .at(1)) == 0)
        #expect(schedule.begin(9, now: .at(2)) == 1)
        #expect(schedule.begin(0, now: .at(60)) == 0)
        #expect(schedule.begin(9, now: .at(60)) == 1, "no more than one is saved up")
        var quick = PoolSchedule(perSecond: 3)
        #expect(quick.begin(2, now: .at(0)) == 2)
        #expect(quick.begin(9, now: .at(1)) == 3)
        #expect(quick.begin(-1, now: .at(9)) == 0)
        var never = PoolSchedule(perSecond: 0)
        _ = never.begin(9, now: .at(0))
        #expect(never.begin(9, now: .at(1000)) == 0)
    }

    @Test func `failures make longer and longer pauses, up to five minutes; one success ends them`() {
        var schedule = PoolSchedule(perSecond: 10)
        var now = 0.0
        var pauses: [Double] = []
        for _ in 0..<12 {
            schedule.failed(now: .at(now))
            let start = now
            while schedule.begin(1, now: .at(now)) == 0 { now += 1 }
            pauses.append(now - start)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
        #expect(schedule.begin(5, now: .at(now + 9)) == 1, "one finds out whether it is over")
        schedule.succeeded()
        #expect(schedule.begin(5, now: .at(now + 10)) == 5)
        schedule.failed(now: .at(now + 10))
        #expect(schedule.begin(1, now: .at(now + 11)) == 1)
    }

    @Test func `what was begun together and fails together is one failure; each is told of once`() {
        var schedule = PoolSchedule(perSecond: 5)
        for _ in 0..<4 { schedule.failed(now: .at(0)) }
        #expect(schedule.begin(5, now: .at(1)) == 1)
        #expect(schedule.takeFailures() == 4)
        #expect(schedule.takeFailures() == 0)
    }

    @Test func `members are looked after once in a pause`() {
        var schedule = PoolSchedule(perSecond: 1)
        let due = [0.0, 1, 9.9, 10, 19, 20].map { schedule.isUpkeepDue(every: .seconds(10), now: .at($0)) }
        #expect(due == [true, false, false, true, false, true])
    }
}

@Suite struct PoolUpkeepTests {
    private func member(_ token: String, age: Duration, life: Duration = .seconds(700), template: String = "base")
        -> LeaseRecord
    {
        LeaseRecord(
            key: LeaseKey(warm: CreationToken(token), template: template),
            epoch: Epoch(1),
            token: CreationToken(token),
            sandbox: ProviderSandbox(id: SandboxID(token), template: "x", remainingLife: life),
            createdAt: WallTime(sinceEpoch: .zero),
            age: age,
            idle: age,
            idleTimeout: .seconds(1_000_000)
        )
    }

    private func upkeep(_ members: [LeaseRecord], target: Int = 3) -> ([String], [String]) {
        var configuration = ManagerConfiguration()
        configuration.warmPool.target = target
        let upkeep = PoolUpkeep(members, configuration)
        return (upkeep.ending.map(\.token.rawValue), upkeep.extending.map(\.token.rawValue))
    }

    @Test func `what is near its end gets a longer life, until half of the greatest age`() {
        let members = [
            member("young", age: .seconds(10)), member("due", age: .seconds(310), life: .seconds(499)),
            member("old", age: .seconds(1800), life: .seconds(400)),
        ]
        #expect(upkeep(members) == (["old"], ["due"]))
    }

    @Test func `members of another template, and more than wanted, end; the oldest first`() {
        let members = [
            member("a", age: .seconds(1)), member("b", age: .seconds(3)), member("c", age: .seconds(2)),
            member("x", age: .seconds(1), template: "other"), member("y", age: .seconds(1), template: "base2"),
        ]
        #expect(upkeep(members, target: 2) == (["x", "y", "b"], []))
        #expect(upkeep(members, target: 0).0.count == 5)
    }

    @Test func `members that were made together do not end together`() {
        let members = (1...3).map { member("m\($0)", age: .seconds(1400 + $0)) }
        #expect(upkeep(members) == (["m3"], []))
        #expect(
            upkeep(
                members.map {
                    var old = $0; old.age = .seconds(1800); return old
                }
            ).0.count == 3
        )
    }
}

@Suite struct WarmKeyTests {
    @Test func `S1 no caller can name a member of the pool, and a manager reads its key back`() throws {
        let key = LeaseKey(warm: CreationToken("t1"), template: "my:template")
        #expect(key.isWarm && key.canonical == "*warm*:my:template*t1")
        #expect(throws: ManagerError.self) { try LeaseKey(user: key.user, project: "p") }
        #expect(throws: ManagerError.self) { try LeaseKey(user: "alice", project: key.project) }
        #expect(throws: ManagerError.self) { try LeaseKey(recorded: "alice", project: key.project) }
        #expect(throws: ManagerError.self) { try LeaseKey(recorded: key.user, project: "") }
        #expect(throws: ManagerError.self) { try LeaseKey(recorded: key.user, project: "a\nb") }
        #expect(try LeaseKey(recorded: key.user, project: key.project) == key)
        let plain = try LeaseKey(recorded: "alice", project: "p1")
        #expect(plain == (try LeaseKey(user: "alice", project: "p1")) && !plain.isWarm)
    }
}
