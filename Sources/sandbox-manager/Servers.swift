internal import ControlAPI
internal import DaemonConfiguration
internal import HTTPServer
internal import Logging
internal import ManagerMetrics
internal import SandboxCore
internal import SystemRuntime

/// Both listeners.
struct Servers: Sendable {
    let api: HTTPServer
    let metrics: HTTPServer

    init(
        settings: DaemonSettings,
        manager: SandboxManager,
        metrics catalogue: ManagerMetrics,
        runtime: Runtime,
        log: Logger
    ) {
        let spawn: HTTPServer.Spawner = { work in
            let task = runtime.spawner.spawn("request", work)
            return { task.cancel() }
        }
        var apiConfiguration = HTTPServerConfiguration(
            host: settings.api.listener.host,
            port: Int(settings.api.listener.port)
        )
        apiConfiguration.maxConnections = settings.api.maxConnections
        apiConfiguration.maxPendingRequests = settings.api.maxPendingRequests
        api = HTTPServer(
            configuration: apiConfiguration,
            handler: ControlAPI(
                manager: manager,
                metrics: catalogue,
                access: AccessPolicy(tokens: settings.api.tokens),
                runtime: runtime,
                requestDeadline: settings.requestDeadline,
                log: log
            ),
            spawn: spawn
        )
        var metricsConfiguration = HTTPServerConfiguration(
            host: settings.metrics.host,
            port: Int(settings.metrics.port)
        )
        // Prometheus, a probe and an engineer; a flood here must not starve the API of descriptors.
        metricsConfiguration.maxConnections = 64
        metrics = HTTPServer(
            configuration: metricsConfiguration,
            handler: MetricsPage(manager: manager, metrics: catalogue, time: runtime.time),
            spawn: spawn
        )
        let (api, page) = (api, metrics)
        catalogue.collect(
            manager: { manager.gauges() },
            server: {
                var sample = ServerSample()
                sample.requestsInFlight = api.activeRequests + page.activeRequests
                sample.connections = api.openConnections + page.openConnections
                sample.pending = api.pendingRequests
                sample.pendingLimit = settings.api.maxPendingRequests
                return sample
            },
            process: { ProcessSample(try ProcessStatistics.read()) },
            activeFaults: settings.faults
        )
    }
}

extension ProcessSample {
    init(_ statistics: ProcessStatistics) {
        self.init()
        cpuSeconds = statistics.cpuSeconds
        residentBytes = statistics.residentBytes
        virtualBytes = statistics.virtualBytes
        openFileDescriptors = statistics.openFileDescriptors
        maximumFileDescriptors = statistics.maximumFileDescriptors
        threads = statistics.threads
        heapInUseBytes = statistics.heapInUseBytes
        heapHeldBytes = statistics.heapHeldBytes
    }
}
