internal import ArgumentParser
internal import DaemonConfiguration
internal import Logging
internal import ManagerMetrics
internal import RedisClient
internal import RedisLeaseStore
internal import SandboxCore

/// Makes the store that the configuration names.
enum Stores {
    /// A store, and how to let go of it at the very end.
    struct Made {
        var store: any LeaseStore
        var close: @Sendable () async -> Void = {}
    }

    static func make(
        _ settings: DaemonSettings,
        _ manager: ManagerConfiguration,
        runtime: Runtime,
        metrics: ManagerMetrics,
        log: Logger
    ) throws -> Made {
        let claim = manager.killTimeout + .seconds(5)
        guard let endpoint = settings.redis.endpoint else {
            return Made(store: MemoryLeaseStore(time: runtime.time, claim: claim))
        }
        if settings.provider != .e2b {
            log.warning(
                "sandboxes of this provider live and die with this process: other replicas cannot use them",
                metadata: ["provider": "\(settings.provider.rawValue)"]
            )
        }
        var client = RedisConfiguration(endpoint: endpoint)
        client.commandTimeout = settings.redis.commandTimeout
        let shared: RedisLeaseStore
        do throws(StoreError) {
            shared = try RedisLeaseStore(
                client: client,
                environment: manager.environment,
                owner: manager.owner,
                claim: claim,
                observer: RedisMetricsObserver(metrics)
            )
        } catch {
            printError("there can be no client for Redis: \(error.detail)")
            throw ExitCode(69)
        }
        let policy: FailoverLeaseStore.OutagePolicy =
            switch settings.redis.onOutage {
            case .degrade: .degrade(replicas: settings.redis.expectedReplicas)
            case .refuse: .refuse
            }
        let store = FailoverLeaseStore(
            shared: shared,
            policy: policy,
            claim: claim,
            runtime: runtime,
            observer: metrics,
            log: log
        )
        return Made(store: store, close: { await shared.close() })
    }
}
