import SandboxCore
import Synchronization
import Testing

@testable import SystemRuntime

@Suite(.timeLimit(.minutes(1)))
struct AlarmClockTests {
    private let clock = AlarmClock.shared
    private let time = SystemTime()

    @Test func `many sleeps end each at its own deadline, none too early`() async {
        let early = Atomic(0)
        await withTaskGroup { group in
            for number in 0..<1000 {
                group.addTask { [clock, time] in
                    let deadline = time.now() + .milliseconds((number * 37) % 50)
                    await clock.sleep(until: deadline)
                    if time.now() < deadline { early.wrappingAdd(1, ordering: .relaxed) }
                }
            }
        }
        #expect(early.load(ordering: .relaxed) == 0)
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

    @Test func `a sleep of a task that is cancelled already ends at once`() async {
        let task = Task { [clock, time] in
            while !Task.isCancelled { await Task.yield() }
            await clock.sleep(until: time.now() + .seconds(3600))
        }
        task.cancel()
        await task.value
    }
}
