import RedisClient
import SandboxCore
import Synchronization
import TestSupport

@testable import RedisLeaseStore

/// A Redis server of a test's own, and replicas that share it.
final class World: Sendable {
    /// `nonisolated(unsafe)`: only the test's own task starts, stops and ends it; the rest reads its constant paths.
    nonisolated(unsafe) let server: RedisProcess
    let configuration: RedisConfiguration
    /// For a look behind the stores' backs.
    let admin: RedisClient
    private let tuning: Tuning
    private let stores = Mutex<[RedisLeaseStore]>([])

    init(_ arguments: [String] = [], tuning: Tuning = Tuning()) async throws {
        server = try await RedisProcess(arguments)
        var configuration = RedisConfiguration(endpoint: RedisEndpoint(target: .socket(path: server.socket)))
        // A busy machine must not look like an outage.
        configuration.commandTimeout = .seconds(10)
        self.configuration = configuration
        self.tuning = tuning
        admin = try RedisClient(configuration: configuration)
    }

    /// A store that has attached itself.
    func replica(
        _ owner: String,
        attached: Bool = true,
        _ change: (inout RedisConfiguration, inout Tuning) -> Void = { _, _ in }
    ) async throws -> RedisLeaseStore {
        var configuration = configuration
        var tuning = tuning
        change(&configuration, &tuning)
        let store = try RedisLeaseStore(
            client: configuration,
            environment: "test",
            owner: owner,
            claim: .seconds(20),
            observer: nil,
            tuning: tuning
        )
        stores.withLock { $0.append(store) }
        if attached { _ = try await store.attach() }
        return store
    }

    /// Waits until so much has passed on the server's clock.
    func pass(_ duration: Duration) async throws {
        let start = try await time()
        while try await time() - start < duration { try await Task.sleep(for: .milliseconds(2)) }
    }

    private func time() async throws -> Duration {
        let words = try await admin.send(RedisCommand("TIME", isIdempotent: true)).array?.compactMap(\.text) ?? []
        let numbers = words.compactMap { Int64($0) }
        guard numbers.count == 2 else { throw StoreError("no time") }
        return .seconds(numbers[0]) + .microseconds(numbers[1])
    }

    func end() async {
        let stores = stores.withLock { stores in
            defer { stores = [] }
            return stores
        }
        for store in stores { await store.close() }
        await admin.close()
    }
}
