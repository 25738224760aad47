import Logging
import SandboxCore
import SystemRuntime

/// A manager with its leases and the store in this process, as the daemon runs it.
struct Subject {
    let manager: SandboxManager
    let runtime = Runtime.system()

    init(remembers: Bool, kills: Bool = true) {
        var configuration = ManagerConfiguration()
        configuration.limits = SlotLimits(perUser: 2, total: 2_000_000)
        configuration.creationRate = .unlimited
        if !kills { configuration.releaseWait = .zero }
        // Nothing falls due while it is measured.
        configuration.maxAge = .seconds(86_400)
        configuration.idleTimeout = .seconds(80_000)
        manager = SandboxManager(
            configuration: configuration,
            provider: BareProvider(remembers: remembers, kills: kills, random: runtime.random),
            store: MemoryLeaseStore(time: runtime.time),
            runtime: runtime,
            // Lines that nobody reads would be most of what is measured.
            log: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    /// Numbered keys, as long as ids that fit into a string's own bytes.
    static func key(_ number: Int) throws -> LeaseKey { try LeaseKey(user: "user-\(number)", project: "demo") }

    /// Does `work` for all numbers, by eight tasks.
    func forAll(_ numbers: Range<Int>, _ work: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<8 {
                group.addTask {
                    for number in stride(from: numbers.lowerBound + first, to: numbers.upperBound, by: 8) {
                        try await work(number)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    func lease(_ numbers: Range<Int>) async throws {
        try await forAll(numbers) { [manager] in _ = try await manager.acquire(try Self.key($0)) }
    }

    func release(_ numbers: Range<Int>) async throws {
        try await forAll(numbers) { [manager] in _ = try await manager.release(try Self.key($0)) }
    }
}
