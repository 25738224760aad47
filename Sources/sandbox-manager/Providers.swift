internal import ArgumentParser
internal import DaemonConfiguration
internal import LocalProvider
internal import Logging
internal import SandboxCore
internal import SimulatedProvider

/// Makes the provider that the configuration names.
enum Providers {
    static func make(_ settings: DaemonSettings, runtime: Runtime, log: Logger) throws -> any SandboxProvider {
        switch settings.provider {
        case .local: return try local(settings, runtime: runtime, log: log)
        case .simulated:
            log.warning("sandboxes are only simulated")
            return SimulatedProvider(time: runtime.time, random: runtime.random)
        case .e2b:
            printError("provider e2b is not part of this build; set provider to local or simulated")
            throw ExitCode(69)
        }
    }

    private static func local(
        _ settings: DaemonSettings,
        runtime: Runtime,
        log: Logger
    ) throws -> any SandboxProvider {
        var configuration = LocalProviderConfiguration()
        configuration.template = settings.manager.template
        configuration.maxSandboxes = settings.manager.limits.total
        let diagnoses = LocalProvider.diagnose(configuration)
        guard diagnoses.isEmpty else {
            printError("local sandboxes cannot work on this machine:")
            for diagnosis in diagnoses { printError("- \(diagnosis)") }
            throw ExitCode(69)
        }
        let provider = LocalProvider(
            configuration: configuration,
            time: runtime.time,
            random: runtime.random,
            spawner: runtime.spawner
        )
        for limitation in provider.limitations {
            log.warning("a limit of local sandboxes cannot be enforced", metadata: ["limit": "\(limitation)"])
        }
        return provider
    }
}

/// Makes the store that the configuration names.
enum Stores {
    static func make(_ settings: DaemonSettings, runtime: Runtime) throws -> any LeaseStore {
        guard settings.redis.url == nil else {
            printError("a Redis store is not part of this build; unset REDIS_URL to keep leases in memory")
            throw ExitCode(69)
        }
        return MemoryLeaseStore(time: runtime.time, claim: settings.manager.killTimeout + .seconds(5))
    }
}
