import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct StoreBreakerTests {
    let time = ManualTime()
    let observer = RecordingObserver()
    let connection: StandInSharedStore
    let server: StandInServer

    init() {
        server = StandInServer(time: time)
        connection = server.connect()
    }

    private func store(_ policy: FailoverLeaseStore.OutagePolicy) -> FailoverLeaseStore {
        let runtime = Runtime(time: time, random: SeededRandom(), spawner: TestSpawner())
        return FailoverLeaseStore(shared: connection, policy: policy, runtime: runtime, observer: observer)
    }

    @Test func `it is half open until the store is known to be there, open while it is away`() async throws {
        let store = store(.degrade(replicas: 1))
        #expect(store.breaker == .halfOpen)
        await store.beat()
        #expect(store.breaker == .closed)
        connection.fail(.unreachable)
        await store.beat()
        #expect(store.breaker == .open && store.mode == .degraded)
        _ = try await store.lookup(try key())
        #expect(observer.record.breakerRejections.isEmpty, "the books of this process answer")
        connection.fail(nil)
        await store.beat()
        #expect(store.breaker == .closed)
        #expect(observer.record.breakerChanges[.store] == [.closed, .open, .halfOpen, .closed])
    }

    @Test func `where work without the store is refused, refusals are counted`() async throws {
        let store = store(.refuse)
        await store.beat()
        connection.fail(.unreachable)
        await store.beat()
        await #expect(throws: StoreError.self) { _ = try await store.lookup(try key()) }
        #expect(observer.record.breakerRejections == [.store: 1])
    }

    @Test func `a store of this process needs none`() {
        #expect(MemoryLeaseStore(time: time).breaker == .closed)
    }
}
