public import HTTPServer
internal import HTTPTypes
public import ManagerMetrics
internal import PrometheusClient
public import SandboxCore
internal import Synchronization

/// The listener for Prometheus and for health checks: `/metrics`, `/healthz`, `/readyz`.
///
/// Every answer is made on the server's thread from snapshots: no actor is asked, so that they come while everything
/// else is stuck (I11).
public struct MetricsPage: HTTPHandler {
    let manager: SandboxManager
    let metrics: ManagerMetrics
    let time: any TimeSource
    private let memory = PageMemory()

    /// Joins the parts.
    public init(manager: SandboxManager, metrics: ManagerMetrics, time: any TimeSource) {
        self.manager = manager
        self.metrics = metrics
        self.time = time
    }

    /// Everything is decided in ``handle(_:)``.
    public func admit(_ request: ServerRequest) -> ServerResponse? { nil }

    /// Always answers at once.
    public func handle(_ request: ServerRequest) -> Handling {
        let start = time.now()
        let route = PathParser.route(of: request.rawPath)
        let response = respond(route, request)
        metrics.answered(route, method: request.method.rawValue, code: response.status, took: time.now() - start)
        return .finished(response)
    }

    /// The server's own refusals.
    public func refusal(_ refusal: ServerRefusal, request: ServerRequest?) -> ServerResponse {
        metrics.answered(.other, method: "other", code: refusal.status, took: .zero)
        return text(refusal.status, refusal.detail)
    }

    private func respond(_ route: Route, _ request: ServerRequest) -> ServerResponse {
        switch route {
        case .metrics, .healthz, .readyz:
            guard request.method == .get || request.method == .head else {
                var response = text(405, "this route answers GET and HEAD")
                response.headers[.allow] = "GET, HEAD"
                return response
            }
        default:
            return text(404, "there are /metrics, /healthz and /readyz")
        }
        switch route {
        case .metrics: return page(accept: request.headers[.accept])
        case .healthz: return text(200, "alive")
        default: return readiness()
        }
    }

    private func page(accept: String?) -> ServerResponse {
        let format = ExpositionFormat.negotiate(acceptHeader: accept)
        do throws(MetricError) {
            var body = memory.take()
            try metrics.registry.render(format, into: &body)
            memory.keep(body)
            metrics.scraped(.ok)
            return ServerResponse(
                status: 200,
                headers: [.contentType: format.contentType, .cacheControl: "no-store"],
                body: body
            )
        } catch {
            // Never half a page.
            metrics.scraped(.failed)
            return text(500, "a collector failed")
        }
    }

    private func readiness() -> ServerResponse {
        let isDraining = manager.isDraining
        let gauges = manager.gauges()
        let body = JSONWriter.object { json in
            json.field("status", isDraining ? "draining" : "ready")
            // Reported, not depended on: an instance that can still serve from memory stays in rotation.
            json.field("store_mode", gauges.storeMode.rawValue)
            json.field("creations_stopped", gauges.areCreationsStopped)
            json.field("provider", manager.providerName)
            json.field("slots_in_use", gauges.usage.slots)
            json.field("slots_limit", gauges.limits.total)
        }
        var response = Replies.json(isDraining ? 503 : 200, body)
        if isDraining { response.headers[.retryAfter] = "1" }
        return response
    }

    private func text(_ status: Int, _ words: String) -> ServerResponse {
        ServerResponse(
            status: status,
            headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: Array("\(words)\n".utf8)
        )
    }
}

/// The last page, whose memory the next one is written into: asked for anew, 200 kB are fresh memory of the kernel's.
private final class PageMemory: Sendable {
    private let page = Mutex<[UInt8]>([])

    /// Whoever has it alone writes in place; if two pages are made at once, one of them gets nothing.
    func take() -> [UInt8] {
        page.withLock { page in
            defer { page = [] }
            return page
        }
    }

    func keep(_ used: [UInt8]) { page.withLock { $0 = used } }
}
