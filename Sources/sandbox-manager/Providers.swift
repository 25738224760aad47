internal import ArgumentParser
internal import CurlTransport
internal import DaemonConfiguration
internal import E2BProvider
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
        case .e2b: return try e2b(settings.e2b, runtime: runtime)
        }
    }

    private static func e2b(_ settings: E2BSettings, runtime: Runtime) throws -> any SandboxProvider {
        // The configuration refuses E2B without a key.
        var configuration = E2BConfiguration(apiKey: settings.apiKey ?? Secret(""))
        configuration.domain = settings.domain
        configuration.apiURL = settings.apiURL
        configuration.sandboxURL = settings.sandboxURL
        configuration.apiVersion = settings.apiVersion == .v2 ? .v2 : .v1
        configuration.maxSession = settings.maxSession
        configuration.transport.userAgent = "sandbox-manager/\(Build.version)"
        // What OpenSSL and every tool around it take for the certificates to trust instead of the system's.
        configuration.transport.caFile = ProcessEnvironment.variables["SSL_CERT_FILE"]
        do throws(ProviderError) {
            return try E2BProvider(configuration: configuration, time: runtime.time)
        } catch {
            printError("there can be no HTTP client for E2B: \(error.detail)")
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
