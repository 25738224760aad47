internal import ArgumentParser
internal import DaemonConfiguration
internal import HTTPServer
internal import Logging
internal import SandboxCore
internal import ServiceLifecycle
internal import SystemRuntime

/// Starts the listeners and loops, waits for the word to stop, and ends everything in order.
struct ManagerService: Service {
    let manager: SandboxManager
    let servers: Servers
    let settings: DaemonSettings
    let runtime: Runtime
    let log: Logger

    func run() async throws {
        try start(servers.metrics, at: settings.metrics)
        try start(servers.api, at: settings.api.listener)
        log.notice(
            "listening",
            metadata: [
                "api": "\(address(settings.api.listener, servers.api.port))",
                "metrics": "\(address(settings.metrics, servers.metrics.port))",
                "provider": "\(settings.provider.rawValue)", "environment": "\(settings.environment)",
            ]
        )
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await manager.run() }
            group.addTask { await giveMemoryBack() }
            if !settings.faults.isEmpty { group.addTask { await warnOfFaults() } }
            // Loops go on while work drains: kills under way are theirs to finish.
            try? await gracefulShutdown()
            await stop()
            group.cancelAll()
        }
        log.notice("stopped")
    }

    /// Order matters: no new connections, then nothing new, then what is under way, then the sandboxes, then the last
    /// connections; the page of metrics last, so that the end can be watched.
    private func stop() async {
        log.notice("shutting down")
        // Refused clients ask another replica. Who is connected is served once more, told to close, and not refused.
        let patience = min(settings.shutdown.timeout / 4, .seconds(2))
        async let isClosed: Void = servers.api.stop(gracePeriod: patience + settings.shutdown.timeout + .seconds(1))
        let end = runtime.time.now() + patience
        while servers.api.activeRequests > 0, runtime.time.now() < end {
            await runtime.time.sleep(for: .milliseconds(5))
        }
        manager.beginDraining()
        await manager.shutdown()
        await isClosed
        await servers.metrics.stop(gracePeriod: .milliseconds(100))
    }

    private func start(_ server: HTTPServer, at listener: Listener) throws {
        do throws(HTTPServerError) {
            try server.start()
        } catch {
            printError("cannot listen on \(listener): \(error)")
            throw ExitCode(69)
        }
        for warning in server.warnings { log.warning("listener", metadata: ["warning": "\(warning)"]) }
    }

    private func address(_ listener: Listener, _ port: Int) -> Listener {
        Listener(host: listener.host, port: UInt16(clamping: port))
    }

    private func giveMemoryBack() async {
        var trim = HeapTrim()
        while !Task.isCancelled {
            await runtime.time.sleep(for: .seconds(10))
            trim.look()
        }
    }

    private func warnOfFaults() async {
        let faults = settings.faults.map(\.rawValue).sorted().joined(separator: ", ")
        while !Task.isCancelled {
            log.warning("faults are injected: this is a drill, never production", metadata: ["faults": "\(faults)"])
            await runtime.time.sleep(for: .seconds(60))
        }
    }
}
