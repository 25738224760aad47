import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// A fleet of managers on one stand-in for a shared store and one provider.
struct Fleet {
    struct Replica {
        let manager: SandboxManager
        let store: FailoverLeaseStore
        let connection: StandInSharedStore
        let observer: RecordingObserver
    }

    let time = ManualTime()
    let spawner = TestSpawner()
    let provider: ScriptedProvider
    let server: StandInServer
    let replicas: [Replica]

    init(
        _ count: Int = 2,
        policy: FailoverLeaseStore.OutagePolicy = .degrade(replicas: 1),
        attached: Bool = true,
        _ configure: (inout ManagerConfiguration) -> Void = { _ in }
    ) async throws {
        let (time, spawner) = (time, spawner)
        provider = ScriptedProvider(
            time: time,
            capabilities: ProviderCapabilities(canPause: true, outlivesProcess: true)
        )
        server = StandInServer(time: time)
        var replicas: [Replica] = []
        for index in 0..<count {
            let runtime = Runtime(time: time, random: SeededRandom(seed: UInt64(index + 1)), spawner: spawner)
            let connection = server.connect()
            let store = FailoverLeaseStore(shared: connection, policy: policy, runtime: runtime)
            var configuration = ManagerConfiguration()
            configuration.creationRate = .unlimited
            configuration.listingWait = .zero
            configuration.owner = "replica-\(index)"
            configure(&configuration)
            let observer = RecordingObserver()
            let manager = SandboxManager(
                configuration: configuration,
                provider: provider,
                store: store,
                runtime: runtime,
                observer: observer
            )
            replicas.append(Replica(manager: manager, store: store, connection: connection, observer: observer))
        }
        self.replicas = replicas
        guard attached else { return }
        for replica in replicas {
            await replica.store.beat()
            replica.connection.say(.listening)
            try await replica.store.markComplete(replica.store.edition)
        }
    }

    var a: Replica { replicas[0] }
    var b: Replica { replicas[1] }

    /// The store goes away for a replica, or comes back; it has noticed.
    func cut(_ replica: Replica, _ fault: StandInSharedStore.Fault? = .unreachable) async {
        replica.connection.fail(fault)
        await replica.store.beat()
    }

    /// Acquires through the first replica; `event` happens while the provider creates.
    func acquire(_ key: LeaseKey, duringCreate event: () -> Void) async -> Result<Grant, any Error> {
        provider.hold(.create)
        let manager = a.manager
        let acquiring = Task { try await manager.acquire(key) }
        let call = await provider.nextHeld(.create)
        provider.unhold(.create)
        event()
        call?.resume()
        return await acquiring.result
    }

    /// Takes over what the provider runs, through a replica; `event` happens while the provider is asked.
    func takeOver(
        _ replica: Replica,
        during operation: ProviderOperation,
        _ event: () async throws -> Void
    ) async rethrows -> Bool {
        provider.hold(operation)
        let listing = Task { await replica.manager.takeOverEverything() }
        let call = await provider.nextHeld(operation)
        provider.unhold(operation)
        try await event()
        call?.resume()
        return await listing.value
    }

    func mend(_ replica: Replica) async {
        replica.connection.fail(nil)
        await replica.store.beat()
    }
}
