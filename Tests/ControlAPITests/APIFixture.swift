import Foundation
import HTTPServer
import HTTPTypes
import Logging
import ManagerMetrics
import PrometheusClient
import SandboxCore
import SimulatedProvider
import Synchronization
import SystemRuntime
import TestSupport

@testable import ControlAPI

/// One answer, with its body read as JSON on demand.
struct Reply {
    struct NoObject: Error {}

    let response: ServerResponse
    /// Whether the handler had it ready at once.
    let isImmediate: Bool

    init(_ response: ServerResponse, isImmediate: Bool = true) {
        self.response = response
        self.isImmediate = isImmediate
    }

    var status: Int { response.status }
    var text: String { String(decoding: response.body, as: UTF8.self) }

    var object: [String: Any] {
        get throws {
            guard let object = try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any] else {
                throw NoObject()
            }
            return object
        }
    }

    subscript(_ name: String) -> String? { (try? object)?[name] as? String }
    subscript(header name: HTTPField.Name) -> String? { response.headers[name] }

    /// The values of a header that must be there once only.
    func headers(_ name: HTTPField.Name) -> [String] { response.headers[values: name] }
}

/// The HTTP interface over a real manager, the simulated provider and a store in memory; without a network.
struct APIFixture {
    let manager: SandboxManager
    let metrics: ManagerMetrics
    let api: ControlAPI
    let page: MetricsPage
    let provider: GatedProvider
    let log = CapturedLog()

    init(tokens: [String] = [], canPause: Bool = true, configure: (inout ManagerConfiguration) -> Void = { _ in })
        throws
    {
        let runtime = Runtime.system()
        var configuration = ManagerConfiguration()
        configure(&configuration)
        let provider = GatedProvider(
            base: SimulatedProvider(time: runtime.time, random: runtime.random),
            canPause: canPause
        )
        self.provider = provider
        let metrics = try ManagerMetrics(
            build: BuildInformation(version: "1", revision: "r", swiftVersion: "6"),
            startedAt: runtime.time.wallNow()
        )
        self.metrics = metrics
        let manager = SandboxManager(
            configuration: configuration,
            provider: provider,
            store: MemoryLeaseStore(time: runtime.time),
            runtime: runtime,
            observer: metrics,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        self.manager = manager
        metrics.collect(
            manager: { manager.gauges() },
            server: { ServerSample() },
            process: { ProcessSample() },
            activeFaults: []
        )
        let handler = CapturingLogHandler(log: log)
        api = ControlAPI(
            manager: manager,
            metrics: metrics,
            access: AccessPolicy(tokens: tokens.map { Secret($0) }),
            runtime: runtime,
            requestDeadline: configuration.requestDeadline,
            log: Logger(label: "test") { _ in handler }
        )
        page = MetricsPage(manager: manager, metrics: metrics, time: runtime.time)
    }

    static let sandbox = "/v1/users/u/projects/p/sandbox"

    /// What the server does with a request.
    func send(
        _ method: HTTPRequest.Method,
        _ target: String,
        headers: HTTPFields = [.host: "localhost"],
        body: String? = nil,
        to handler: (any HTTPHandler)? = nil
    ) async -> Reply {
        let handler: any HTTPHandler = handler ?? api
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        var headers = headers
        if let body {
            headers[.contentLength] = String(body.utf8.count)
            if headers[.contentType] == nil { headers[.contentType] = "application/json" }
        }
        var request = ServerRequest(
            method: method,
            rawPath: parts[0],
            rawQuery: parts.count == 2 ? parts[1] : nil,
            headers: headers
        )
        if let refusal = handler.admit(request) { return Reply(refusal) }
        request.body = Array((body ?? "").utf8)
        switch handler.handle(request) {
        case .finished(let response): return Reply(response)
        case .pending(let work): return Reply(await work(), isImmediate: false)
        }
    }

    /// A value from a fresh page of metrics.
    func metric(_ name: String, _ labels: [String: String] = [:]) throws -> Double? {
        let page = Exposition.parse(String(decoding: try metrics.registry.render(.text), as: UTF8.self))
        return page.value(of: "sandbox_manager_" + name, labels)
    }
}

/// The simulated provider, with creates and kills that wait while a gate is closed.
final class GatedProvider: SandboxProvider {
    let base: SimulatedProvider
    let capabilities: ProviderCapabilities
    let creates = Gate()
    let kills = Gate()

    init(base: SimulatedProvider, canPause: Bool) {
        self.base = base
        capabilities = ProviderCapabilities(canPause: canPause, outlivesProcess: false)
    }

    var name: String { base.name }

    func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        await creates.pass()
        var sandbox = try await base.create(request, timeout: timeout)
        sandbox.envdAccessToken = Secret("envd-secret")
        sandbox.trafficAccessToken = Secret("traffic-secret")
        sandbox.domain = "sandbox.test"
        return sandbox
    }

    func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        await kills.pass()
        return try await base.kill(id, timeout: timeout)
    }

    func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try await base.info(id, timeout: timeout)
    }

    func list(_ filter: SandboxFilter, timeout: Duration) async throws(ProviderError) -> [SandboxInfo] {
        try await base.list(filter, timeout: timeout)
    }

    func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        try await base.connect(id, life: life, timeout: timeout)
    }

    func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        try await base.extend(id, life: life, timeout: timeout)
    }

    func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        try await base.pause(id, timeout: timeout)
    }

    func health(_ sandbox: ProviderSandbox, timeout: Duration) async -> HealthVerdict {
        await base.health(sandbox, timeout: timeout)
    }

    func exec(_ sandbox: ProviderSandbox, _ request: ExecRequest) async throws(ProviderError) -> ExecResult {
        try await base.exec(sandbox, request)
    }

    func shutdown() async { await base.shutdown() }
}

/// Open at first; whoever passes while it is closed waits until it opens.
final class Gate: Sendable {
    private struct State {
        var isOpen = true
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var waiters: Int { state.withLock { $0.waiting.count } }

    func close() { state.withLock { $0.isOpen = false } }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// Everything that was logged, as text.
final class CapturedLog: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func append(_ line: String) { lines.withLock { $0.append(line) } }
}

struct CapturingLogHandler: LogHandler {
    let log: CapturedLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        log.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
    }
}

/// Waits until `condition` holds, at most ten seconds.
func poll(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return false
}
