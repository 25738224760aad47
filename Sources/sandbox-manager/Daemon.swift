internal import ControlAPI
internal import DaemonConfiguration
internal import HTTPServer
internal import Logging
internal import ManagerMetrics
internal import SandboxCore
internal import ServiceLifecycle
internal import SystemRuntime
internal import UnixSignals

/// Joins the parts of the daemon and runs them until it is told to stop.
struct Daemon {
    private let settings: DaemonSettings
    private let log: Logger
    private let runtime = Runtime.system()

    init(_ loaded: LoadedConfiguration) {
        settings = loaded.settings
        let format: LineLogHandler.Format = settings.log.format == .json ? .json : .text
        let level = Logger.Level(rawValue: settings.log.level.rawValue) ?? .info
        LoggingSystem.bootstrap { LineLogHandler(label: $0, format: format, level: level) }
        log = Logger(label: "sandbox-manager")
        for warning in loaded.warnings { log.warning("configuration", metadata: ["warning": "\(warning)"]) }
    }

    func run() async throws {
        let started = runtime.time.wallNow()
        let provider = try Providers.make(settings, runtime: runtime, log: log)
        let metrics = try ManagerMetrics(
            build: BuildInformation(
                version: Build.version,
                revision: Build.revision,
                swiftVersion: Build.swiftVersion
            ),
            startedAt: started
        )
        var configuration = settings.manager
        configuration.owner = "\(ProcessEnvironment.hostName)-\(ProcessEnvironment.processID)-\(started.microseconds)"
        let made = try Stores.make(
            settings,
            configuration,
            runtime: runtime,
            metrics: metrics,
            log: log
        )
        let manager = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: made.store,
            runtime: runtime,
            observer: metrics,
            log: log
        )
        let servers = Servers(settings: settings, manager: manager, metrics: metrics, runtime: runtime, log: log)
        let service = ManagerService(
            manager: manager,
            servers: servers,
            settings: settings,
            runtime: runtime,
            log: log
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: service)],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: log
            )
        )
        try await group.run()
        await made.close()
    }
}
