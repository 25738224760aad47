import LoopThread
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct LoopThreadTests {
    @Test func `every accepted message is seen once and in order, by writers on many tasks`() async throws {
        let seen = Mutex<[Int: [Int]]>([:])
        let seenBox = SharedBox(seen)
        let thread = try LoopThread<(writer: Int, value: Int)>(name: "test") { inbox, doorbell in
            while true {
                let batch = inbox.take()
                for message in batch.messages {
                    seenBox.value.withLock { $0[message.writer, default: []].append(message.value) }
                }
                if batch.isLast { return }
                if batch.messages.isEmpty { doorbell.wait() }
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask {
                    for value in 0..<10_000 { #expect(thread.post((writer, value))) }
                }
            }
        }
        thread.close()
        await thread.waitUntilEnded()
        let result = seenBox.value.withLock { $0 }
        #expect(result.count == 8)
        for values in result.values { #expect(values == Array(0..<10_000)) }
    }

    @Test func `a closed thread refuses messages and everyone who waits for its end returns`() async throws {
        let thread = try LoopThread<Int>(name: "test") { inbox, doorbell in
            while !inbox.take().isLast { doorbell.wait() }
        }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { await thread.waitUntilEnded() } }
            thread.close()
            thread.close()
        }
        #expect(!thread.post(1))
        await thread.waitUntilEnded()
    }

    @Test func `a loop that returns by itself closes its inbox`() async throws {
        let thread = try LoopThread<Int>(name: "test") { _, _ in }
        await thread.waitUntilEnded()
        #expect(!thread.post(1))
    }

    @Test func `dropping the thread object ends the loop`() async throws {
        let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
        var thread: LoopThread<Int>? = try LoopThread<Int>(name: "test") { inbox, doorbell in
            while !inbox.take().isLast { doorbell.wait() }
            continuation.finish()
        }
        #expect(thread?.post(1) == true)
        thread = nil
        for await _ in ended {}
    }

    @Test func `a bell that rang before the wait ends it, and a silent one ends at its limit`() {
        let doorbell = Doorbell()
        doorbell.ring()
        #expect(doorbell.wait())
        let start = ContinuousClock.now
        #expect(!doorbell.wait(atMost: .milliseconds(20)))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }
}

/// Shares a value that cannot be copied.
private final class SharedBox<Value: ~Copyable & Sendable>: Sendable {
    let value: Value

    init(_ value: consuming Value) { self.value = value }
}
