import SandboxCore
import Synchronization
import Testing

@testable import SystemRuntime

@Suite(.timeLimit(.minutes(1)))
struct AlarmClockTests {
    private let clock = AlarmClock.shared
    private let time = SystemTime()

    @Test func `many sleeps end each at its own deadline, none too early`() async {
        let early = SharedCount()
        await withTaskGroup { group in
            for number in 0..<1000 {
                group.addTask { [clock, time] in
                    let deadline = time.now() + .milliseconds((number * 37) % 50)
                    await clock.sleep(until: deadline)
                    if time.now() < deadline { early.count.wrappingAdd(1, ordering: .relaxed) }
                }
            }
        }
        #expect(early.count.load(ordering: .relaxed) == 0)
    }

    @Test func `a nearer deadline overtakes those that are waited for`() async {
        let far = Task { [clock, time] in await clock.sleep(until: time.now() + .seconds(3600)) }
        defer { far.cancel() }
        await clock.sleep(until: time.now() + .milliseconds(5))
    }

    @Test func `cancelled sleeps are forgotten long before their deadline`() async {
        let deadline = time.now() + .seconds(3600)
        for _ in 0..<50 {
            await withTaskGroup { group in
                for _ in 0..<1000 { group.addTask { [clock] in await clock.sleep(until: deadline) } }
                group.cancelAll()
            }
        }
        // Other tests sleep meanwhile, but never by the thousand.
        #expect(clock.counts.sleepers < 2000)
        #expect(clock.counts.alarms < 6000)
    }

    @Test func `an alarm calls once, at its deadline, and one that was cancelled before never does`() async {
        let calls = SharedCount()
        await withCheckedContinuation { continuation in
            let deadline = time.now() + .milliseconds(5)
            let forgotten = time.alarm(at: deadline) { calls.count.wrappingAdd(1000, ordering: .relaxed) }
            forgotten?.cancel()
            _ = time.alarm(at: deadline) { [time] in
                calls.count.wrappingAdd(time.now() < deadline ? 100 : 1, ordering: .relaxed)
            }
            // Later than both, so that they had their chance.
            _ = time.alarm(at: deadline + .milliseconds(5)) { continuation.resume() }
        }
        #expect(calls.count.load(ordering: .relaxed) == 1)
    }

    @Test func `an alarm that is past is called, and cancelling it afterwards is harmless`() async {
        await withCheckedContinuation { continuation in
            let alarm = time.alarm(at: time.now() - .seconds(1)) { continuation.resume() }
            #expect(alarm != nil)
        }
    }

    @Test func `cancelled alarms are forgotten long before their deadline`() {
        for _ in 0..<50_000 { time.alarm(at: time.now() + .seconds(3600)) {}?.cancel() }
        #expect(clock.counts.sleepers < 2000)
        #expect(clock.counts.alarms < 6000)
    }

    @Test func `I9 work that outlives its limit is answered for, and cancelled`() async {
        let ended = SharedCount()
        let answer = await Runtime.system().bounded("endless", by: .milliseconds(5)) { isCancelled in
            isCancelled ? "cancelled" : "too late"
        } _: {
            while !Task.isCancelled { await Task.yield() }
            ended.count.wrappingAdd(1, ordering: .relaxed)
            return "done"
        }
        #expect(answer == "too late")
        while ended.count.load(ordering: .relaxed) == 0 { await Task.yield() }
    }

    @Test func `a sleep of a task that is cancelled already ends at once`() async {
        let task = Task { [clock, time] in
            while !Task.isCancelled { await Task.yield() }
            await clock.sleep(until: time.now() + .seconds(3600))
        }
        task.cancel()
        await task.value
    }
}

/// Shared by reference, as tasks may not capture an atomic of their caller.
private final class SharedCount: Sendable {
    let count = Atomic(0)
}
