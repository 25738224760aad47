import TestSupport
import Testing

@testable import SandboxCore

@Suite struct RetryScheduleTests {
    @Test func `T5 two retries mean three attempts`() {
        var schedule = RetrySchedule(retries: 2, baseDelay: .seconds(1), deadline: .at(100))
        #expect(!schedule.hasRetried)
        #expect(schedule.next(isRetryable: true, wish: nil, now: .at(0), fraction: 0.5) == .retry(after: .seconds(0.5)))
        #expect(schedule.next(isRetryable: true, wish: nil, now: .at(1), fraction: 0.5) == .retry(after: .seconds(1)))
        #expect(schedule.next(isRetryable: true, wish: nil, now: .at(2), fraction: 0.5) == .giveUp)
        #expect(schedule.hasRetried)
    }

    @Test func `T5 what no repetition mends is not repeated`() {
        var schedule = RetrySchedule(retries: 2, baseDelay: .seconds(1), deadline: .at(100))
        #expect(schedule.next(isRetryable: false, wish: .seconds(1), now: .at(0), fraction: 0) == .giveUp)
        #expect(!schedule.hasRetried)
    }

    @Test func `T5 the upstream's wish is a floor below the jitter`() {
        var schedule = RetrySchedule(retries: 2, baseDelay: .seconds(1), deadline: .at(100))
        let step = schedule.next(isRetryable: true, wish: .seconds(7), now: .at(0), fraction: 0.25)
        #expect(step == .retry(after: .seconds(7.25)))
    }

    @Test func `no attempt starts at or after the deadline`() {
        var schedule = RetrySchedule(retries: 2, baseDelay: .seconds(1), deadline: .at(10))
        #expect(schedule.next(isRetryable: true, wish: .seconds(10), now: .at(0), fraction: 0) == .giveUp)
    }

    @Test func `pauses double up to a bound, however many there are`() {
        var schedule = RetrySchedule(retries: 100, baseDelay: .seconds(1), deadline: .at(1e9))
        var pauses: [Duration] = []
        for _ in 0..<70 {
            guard case .retry(let pause) = schedule.next(isRetryable: true, wish: nil, now: .at(0), fraction: 1) else {
                break
            }
            pauses.append(pause)
        }
        #expect(pauses.prefix(6) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16), .seconds(30)])
        #expect(pauses.count == 70 && pauses.allSatisfy { $0 <= .seconds(30) })
    }
}

@Suite struct HealthHistoryTests {
    private func decisions(_ verdicts: [(Double, HealthVerdict)], runningSince: Double = -100) -> [HealthDecision] {
        var history = HealthHistory()
        return verdicts.map { history.record($0.1, now: .at($0.0), runningSince: .at(runningSince)) }
    }

    @Test func `K3 one sick verdict, or two, or three at once, replace nothing`() {
        let sick = HealthVerdict.unhealthy("502")
        #expect(decisions([(0, sick), (1, sick), (9, sick)]).allSatisfy { $0 == .keep(.unhealthy("502")) })
    }

    @Test func `K3 three sick verdicts over ten seconds replace`() {
        let sick = HealthVerdict.unhealthy("502")
        #expect(decisions([(0, sick), (5, sick), (10, sick)]).last == .replace)
        #expect(decisions([(0, sick), (10, sick)]).last == .keep(.unhealthy("502")))
    }

    @Test func `K3 an answer in between starts the count anew`() {
        let sick = HealthVerdict.unhealthy("502")
        let last = decisions([(0, sick), (5, sick), (6, .alive), (10, sick), (12, sick)]).last
        #expect(last == .keep(.unhealthy("502")))
    }

    @Test func `K3 the first seconds after a start are edge lag, not sickness`() {
        let sick = HealthVerdict.unhealthy("502")
        let all = decisions([(0, sick), (2, sick), (4.9, sick), (11, sick), (14, sick)], runningSince: 0)
        #expect(all.allSatisfy { $0 == .keep(.unhealthy("502")) })
    }

    @Test func `I8 no number of unreachable verdicts destroys anything`() {
        let verdicts = (0..<100).map { (Double($0) * 10, HealthVerdict.unreachable("refused")) }
        #expect(decisions(verdicts).allSatisfy { $0 == .keep(.unreachable("refused")) })
    }

    @Test func `a silence of a minute is doubt, a shorter one is not`() {
        let silent = HealthVerdict.timedOut(after: .seconds(5))
        let error = ManagerError.timedOut(operation: .healthCheck, after: .seconds(5))
        #expect(decisions([(0, silent), (30, silent), (59, silent)]).last == .keep(error))
        #expect(decisions([(0, silent), (30, silent), (60, silent)]).last == .doubt(error))
        #expect(decisions([(0, silent), (30, .alive), (60, silent)]).last == .keep(error))
    }

    @Test func `K3 two silent probes far apart are no silence of a minute`() {
        let silent = HealthVerdict.timedOut(after: .seconds(5))
        let error = ManagerError.timedOut(operation: .healthCheck, after: .seconds(5))
        #expect(decisions([(0, silent), (600, silent)]).last == .keep(error))
    }

    @Test func `an ill answer breaks a silence`() {
        let silent = HealthVerdict.timedOut(after: .seconds(5))
        let error = ManagerError.timedOut(operation: .healthCheck, after: .seconds(5))
        let all = decisions([(0, silent), (10, silent), (20, .unhealthy("502")), (50, silent), (61, silent)])
        #expect(all.last == .keep(error))
    }

    @Test func `only the control plane's word means gone`() {
        #expect(decisions([(0, .gone)]) == [.gone])
        #expect(decisions([(0, .paused)]) == [.resume])
        for verdict: HealthVerdict in [.unauthorized, .malformed("x"), .cancelled, .unreachable("x")] {
            guard case .keep = decisions([(0, verdict)])[0] else {
                Issue.record("\(verdict) must keep the lease")
                continue
            }
        }
    }
}

@Suite struct FlightRecorderTests {
    @Test func `a key keeps its last sixteen events`() throws {
        var recorder = FlightRecorder()
        for number in 0..<20 {
            _ = recorder.record(try key(), "e\(number)", at: WallTime(sinceEpoch: .seconds(number)))
        }
        #expect(recorder.events(of: try key()).map(\.text) == (4..<20).map { "e\($0)" })
    }

    @Test func `I6 the number of keys is bounded and what is forgotten is counted`() throws {
        var recorder = FlightRecorder()
        var forgotten = 0
        for number in 0..<5000 {
            forgotten += recorder.record(try key("u\(number)"), "e", at: WallTime(sinceEpoch: .zero))
            #expect(recorder.count <= FlightRecorder.keyLimit)
        }
        #expect(forgotten + recorder.count == 5000)
    }

    @Test func `a key that is active keeps its history when the generations change`() throws {
        var recorder = FlightRecorder()
        let zero = WallTime(sinceEpoch: .zero)
        let busy = try key("busy")
        _ = recorder.record(busy, "first", at: zero)
        for number in 0..<511 { _ = recorder.record(try key("a\(number)"), "e", at: zero) }
        for number in 0..<512 { _ = recorder.record(try key("b\(number)"), "e", at: zero) }
        // The young generation is full, and the key is in the old one that is dropped now.
        _ = recorder.record(busy, "second", at: zero)
        #expect(recorder.events(of: busy).map(\.text) == ["first", "second"])
    }
}

@Suite struct ErrorTests {
    @Test func `L8 a refusal by a limit says which, how much is taken, and when to come again`() {
        let denial = LimitDenial(scope: .user, limit: 2, inUse: 2, releasing: 0)
        #expect(ManagerError.limited(denial).reason == .userLimit)
        #expect(ManagerError.limited(denial).retryAfter == .seconds(1))
        let total = LimitDenial(scope: .total, limit: 9, inUse: 9, releasing: 0)
        #expect(ManagerError.limited(total).reason == .totalLimit)
    }

    @Test(arguments: [(400, false), (401, false), (403, false), (404, false), (409, false), (500, true), (503, true)])
    func `T5 statuses are classified by what a repetition can mend`(status: Int, isRetryable: Bool) {
        #expect(Failures.http(status).isRetryable == isRetryable)
        #expect(Failures.reset().isRetryable)
    }

    @Test func `T4 timed out probes have a reason of their own`() {
        let error = ManagerError.timedOut(operation: .healthCheck, after: .seconds(5))
        #expect(error.reason == .healthCheckTimedOut)
        #expect(ManagerError.timedOut(operation: .request, after: .zero).reason == .deadlineExceeded)
    }

    @Test(arguments: [(0.0, 1), (0.2, 1), (1.0, 1), (1.001, 2), (59.5, 60)])
    func `Retry-After is rounded up to whole seconds`(seconds: Double, whole: Int) {
        #expect(Duration.seconds(seconds).wholeSecondsUp == whole)
    }
}

@Suite struct LeaseTableTests {
    private let policy = LeaseTable.Policy(freshWindow: .seconds(30), maxAge: .seconds(3600))

    private func lease(_ epoch: Int64 = 1, now: Double = 0) throws -> Lease {
        let sandbox = ProviderSandbox(id: SandboxID("sb\(epoch)"), template: "base", remainingLife: .seconds(800))
        let record = LeaseRecord(
            key: try key(),
            epoch: Epoch(epoch),
            token: CreationToken("t\(epoch)"),
            sandbox: sandbox,
            createdAt: WallTime(sinceEpoch: .zero),
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
        return Lease(record, now: .at(now))
    }

    private func isFresh(_ freshness: LeaseTable.Freshness) -> Bool {
        if case .fresh = freshness { true } else { false }
    }

    @Test func `a lease is fresh up to its window and not beyond`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        #expect(isFresh(table.handOutIfFresh(try key(), now: .at(30))))
        #expect(isFresh(table.handOutIfFresh(try key(), now: .at(60))))
        #expect(!isFresh(table.handOutIfFresh(try key(), now: .at(90.1))))
    }

    @Test func `K4 a busy lease is probed by absolute interval, one probe at a time`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        var probes: [Double] = []
        for second in stride(from: 0.0, through: 65, by: 5) {
            guard case .fresh(let lease, let probeBehind) = table.handOutIfFresh(try key(), now: .at(second)) else {
                Issue.record("not fresh at \(second)")
                return
            }
            if probeBehind {
                probes.append(second)
                if second > 35 { _ = table.recordProbe(lease.key, epoch: lease.epoch, .alive, now: .at(second)) }
            }
        }
        // The first probe never reports back, so there is no second one.
        #expect(probes == [35])
    }

    @Test func `a suspect, paused, ending or old lease is not fresh`() throws {
        let one = Epoch(1)
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        table.suspect(try key(), epoch: one)
        #expect(!isFresh(table.handOutIfFresh(try key(), now: .at(1))))
        _ = table.recordProbe(try key(), epoch: one, .alive, now: .at(1))
        #expect(isFresh(table.handOutIfFresh(try key(), now: .at(1))))
        table.pause(try key(), epoch: one, expiry: .at(86_400))
        #expect(!isFresh(table.handOutIfFresh(try key(), now: .at(1))))
        table = LeaseTable(policy: policy)
        table.insert(try lease())
        table.recordUse(try key(), epoch: one, now: .at(771))
        #expect(!isFresh(table.handOutIfFresh(try key(), now: .at(771))), "less than 30 s of remote life")
        table.extend(try key(), epoch: one, expiry: .at(9000), now: .at(771))
        table.recordUse(try key(), epoch: one, now: .at(3541))
        #expect(!isFresh(table.handOutIfFresh(try key(), now: .at(3541))), "in the last minute of its age")
    }

    @Test func `an older lease never replaces a newer one, nor does a copy replace the original`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease(2))
        table.insert(try lease(1))
        #expect(table[try key()]?.epoch == Epoch(2))
        #expect(table.beginUse(try key(), epoch: Epoch(2), now: .at(1)) == true)
        table.insert(try lease(2, now: 5))
        #expect(table[try key()]?.activeUses == 1)
    }

    @Test func `changes under a stale epoch change nothing`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease(2))
        #expect(table.recordUse(try key(), epoch: Epoch(1), now: .at(50)) == nil)
        #expect(table.remove(try key(), epoch: Epoch(1)) == nil)
        #expect(table.recordProbe(try key(), epoch: Epoch(1), .gone, now: .at(1)) == nil)
        #expect(table.beginUse(try key(), epoch: Epoch(1), now: .at(1)) == false)
        #expect(!table.isIdle(try key(), epoch: Epoch(1), now: .at(9999)))
    }

    @Test func `I7 a lease with a command inside is not idle, and the store hears so each time`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        #expect(table.beginUse(try key(), epoch: Epoch(1), now: .at(0)) == true)
        #expect(!table.isIdle(try key(), epoch: Epoch(1), now: .at(1000)))
        for round in 1...3 {
            let uses = table.drainUses(now: .at(Double(round) * 500))
            #expect(uses == [LeaseUse(key: try key(), epoch: Epoch(1), age: .zero)], "round \(round)")
        }
        table.endUse(try key(), epoch: Epoch(1), now: .at(1600))
        #expect(table.drainUses(now: .at(1700)).map(\.age) == [.seconds(100)])
        #expect(table.drainUses(now: .at(1800)).isEmpty)
        #expect(table.isIdle(try key(), epoch: Epoch(1), now: .at(2100)))
        #expect(!table.isIdle(try key(), epoch: Epoch(1), now: .at(2099)))
    }

    @Test func `K7 only a lease used since its last extension is extended, and once per grace period`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        #expect(!table.needsExtension(try key(), at: 301), "not used since it was made")
        table.recordUse(try key(), epoch: Epoch(1), now: .at(200))
        #expect(!table.needsExtension(try key(), at: 299))
        #expect(table.needsExtension(try key(), at: 301))
        table.extend(try key(), epoch: Epoch(1), expiry: .at(1101), now: .at(301))
        table.recordUse(try key(), epoch: Epoch(1), now: .at(302))
        #expect(!table.needsExtension(try key(), at: 303))
        table.extend(try key(), epoch: Epoch(1), expiry: .at(1000), now: .at(304))
        #expect(table[try key()]?.remoteExpiry == .at(1101), "a word that came late moves nothing back")
    }

    @Test func `K5 a paused lease is never extended, whatever still runs inside`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        #expect(table.beginUse(try key(), epoch: Epoch(1), now: .at(1)) == true)
        table.pause(try key(), epoch: Epoch(1), expiry: .at(900))
        #expect(!table.needsExtension(try key(), at: 850))
    }

    @Test func `a lease past its expiry is not extended: nobody knows whether there is anything to extend`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        table.recordUse(try key(), epoch: Epoch(1), now: .at(799))
        #expect(table.needsExtension(try key(), at: 799.5))
        #expect(!table.needsExtension(try key(), at: 800))
    }

    @Test func `I9 a grant a little short of the greatest age is not asked for over and over`() throws {
        var table = LeaseTable(policy: policy)
        table.insert(try lease())
        table.extend(try key(), epoch: Epoch(1), expiry: .at(3598), now: .at(2800))
        table.recordUse(try key(), epoch: Epoch(1), now: .at(3200))
        #expect(!table.needsExtension(try key(), at: 3201))
    }
}

extension LeaseTable {
    /// The uses since the last time.
    mutating func drainUses(now: MonotonicInstant) -> [LeaseUse] {
        let keys = takeUsed()
        return uses(of: keys, now: now)
    }

    /// Whether the key's lease is due for an extension to 800 s of life.
    fileprivate func needsExtension(_ key: LeaseKey, at seconds: Double) -> Bool {
        self[key].map { needsExtension($0, to: .seconds(800), now: .at(seconds)) } ?? false
    }
}
