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
        guard let location = settings.redis.location else {
            return Made(store: MemoryLeaseStore(time: runtime.time, claim: claim))
        }
        if settings.provider != .e2b {
            log.warning(
                "sandboxes of this provider live and die with this process: other replicas cannot use them",
                metadata: ["provider": "\(settings.provider.rawValue)"]
            )
        }
        var client = RedisConfiguration(endpoint: RedisEndpoint(location))
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

extension RedisEndpoint {
    /// The place that the configuration has already checked.
    init(_ location: RedisLocation) {
        let target: Target =
            switch location.target {
            case .server(let node): .server(RedisAddress(node))
            case .socket(let path): .socket(path: path)
            case .sentinel(let nodes, let master): .sentinel(nodes: nodes.map { RedisAddress($0) }, master: master)
            }
        self.init(
            target: target,
            user: location.user,
            password: location.password.map { RedisPassword($0.reveal()) },
            database: location.database
        )
    }
}

extension RedisAddress {
    init(_ node: RedisLocation.Node) {
        self.init(host: node.host, port: node.port)
    }
}
