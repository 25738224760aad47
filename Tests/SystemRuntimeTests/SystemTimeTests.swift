import SandboxCore
import SystemRuntime
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct SystemTimeTests {
    private let time = SystemTime()

    @Test func `the monotonic clock never falls`() {
        var last = time.now()
        for _ in 0..<100_000 {
            let now = time.now()
            #expect(now >= last)
            last = now
        }
    }

    @Test func `the wall clock is of this century and moves with the monotonic one`() async {
        let (start, wallStart) = (time.now(), time.wallNow())
        #expect(wallStart > WallTime(sinceEpoch: .seconds(1_700_000_000)))
        #expect(wallStart < WallTime(sinceEpoch: .seconds(4_000_000_000)))
        await time.sleep(for: .milliseconds(20))
        let difference = (time.wallNow() - wallStart) - (time.now() - start)
        #expect(abs(difference.inSeconds) < 1)
    }

    @Test func `a sleep lasts until its deadline`() async {
        let deadline = time.now() + .milliseconds(30)
        await time.sleep(until: deadline)
        #expect(time.now() >= deadline)
    }

    @Test func `a deadline that has passed does not wait`() async {
        let start = time.now()
        await time.sleep(until: start - .seconds(10))
        await time.sleep(for: .zero)
        #expect(time.now() - start < .seconds(5))
    }

    @Test func `a sleep ends early when its task is cancelled`() async {
        let start = time.now()
        let task = Task { [time] in await time.sleep(for: .seconds(3600)) }
        task.cancel()
        await task.value
        #expect(time.now() - start < .seconds(30))
    }

    @Test func `random numbers differ`() {
        let random = SystemRandom()
        #expect(Set((0..<1000).map { _ in random.next() }).count == 1000)
    }
}

@Suite(.timeLimit(.minutes(1))) struct SystemSpawnerTests {
    /// Waits until `condition` holds, at most ten seconds.
    private func poll(_ condition: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(2)) }
        return condition()
    }

    @Test func `what runs is counted until it ends`() async {
        let spawner = SystemSpawner()
        let time = SystemTime()
        #expect(spawner.count == 0)
        let tasks = (0..<10).map { number in
            spawner.spawn("sleeper \(number)") { await time.sleep(for: .seconds(3600)) }
        }
        #expect(spawner.count == 10)
        for task in tasks { task.cancel() }
        #expect(await poll { spawner.count == 0 })
    }

    @Test func `work outlives a spawner that is cancelled`() async {
        let spawner = SystemSpawner()
        let (go, start) = AsyncStream<Void>.makeStream()
        let (results, ended) = AsyncStream<Bool>.makeStream()
        let parent = Task {
            spawner.spawn("outlives its spawner") {
                for await _ in go.prefix(1) {}
                ended.yield(Task.isCancelled)
            }
            try? await Task.sleep(for: .seconds(3600))
        }
        parent.cancel()
        await parent.value
        #expect(spawner.count == 1)
        start.yield()
        for await wasCancelled in results.prefix(1) { #expect(!wasCancelled) }
    }

    @Test func `a task carries its name`() async {
        let (stream, names) = AsyncStream<String?>.makeStream()
        SystemSpawner().spawn("probe behind") { names.yield(Task.name) }
        for await name in stream.prefix(1) { #expect(name == "probe behind") }
    }
}
