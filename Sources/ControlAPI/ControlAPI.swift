public import HTTPServer
internal import HTTPTypes
public import Logging
public import ManagerMetrics
public import SandboxCore

/// The HTTP interface of the manager.
///
/// Runs on the server's thread: what needs no question (fresh leases, refusals) is answered there and then, the rest is
/// handed to an asynchronous task.
public struct ControlAPI: HTTPHandler {
    let manager: SandboxManager
    let metrics: ManagerMetrics
    let access: AccessPolicy
    let runtime: Runtime
    let requestDeadline: Duration
    let log: Logger
    private let requestIDs: RequestIDs

    /// Joins the parts.
    ///
    /// - Parameters:
    ///   - manager: Who does the work.
    ///   - metrics: Where requests are counted.
    ///   - access: Who may ask.
    ///   - runtime: Clocks, randomness, spawning.
    ///   - requestDeadline: The longest that any request but a command is worked on.
    ///   - log: Where requests are logged.
    public init(
        manager: SandboxManager,
        metrics: ManagerMetrics,
        access: AccessPolicy,
        runtime: Runtime,
        requestDeadline: Duration,
        log: Logger
    ) {
        self.manager = manager
        self.metrics = metrics
        self.access = access
        self.runtime = runtime
        self.requestDeadline = requestDeadline
        self.log = log
        requestIDs = RequestIDs(random: runtime.random)
    }

    // MARK: HTTPHandler

    /// Refuses what can be refused by its header alone, before a byte of the body is read.
    public func admit(_ request: ServerRequest) -> ServerResponse? {
        let problem = access.refusal(request) ?? routeRefusal(request) ?? mediaRefusal(request)
        return problem.map { refuse($0, request) }
    }

    /// Answers at once where nothing has to be asked.
    public func handle(_ request: ServerRequest) -> Handling {
        let call = Call(request: request, id: requestID(request), start: runtime.time.now())
        do throws(ManagerError) {
            let target = try PathParser.parse(request.rawPath)
            switch target.route {
            case .sandboxes, .stats, .other, .metrics, .healthz, .readyz:
                return .pending { await self.answer(target, nil, call) }
            case .stopCreates, .resumeCreates, .drain:
                return .finished(finish(call, target.route, administer(target.route)))
            case .sandbox, .keepalive, .pause, .reportUnhealthy, .exec, .explain:
                let key = try LeaseKey(user: target.user, project: target.project)
                return try handle(target, key, call)
            }
        } catch {
            return .finished(
                finish(call, PathParser.route(of: request.rawPath), Problem(error).response(requestID: call.id))
            )
        }
    }

    /// The server's own refusals, in the words of this API.
    public func refusal(_ refusal: ServerRefusal, request: ServerRequest?) -> ServerResponse {
        let reason: ErrorReason =
            switch refusal {
            case .badRequest: .invalidArgument
            case .payloadTooLarge: .payloadTooLarge
            case .headerTooLarge: .headerTooLarge
            case .overloaded: .overloaded
            case .draining: .draining
            case .internalError: .internal
            }
        let problem = Problem(reason, refusal.detail)
        guard let request else {
            metrics.answered(.other, method: "other", code: problem.status, took: .zero)
            return problem.response(requestID: nil)
        }
        return refuse(problem, request)
    }

    // MARK: Answers

    private func handle(_ target: Target, _ key: LeaseKey, _ call: Call) throws(ManagerError) -> Handling {
        guard target.route == .sandbox, call.request.method == .put else {
            return .pending { await self.answer(target, key, call) }
        }
        // Bad wishes are refused even when they would not matter.
        let options = try RequestBody.acquireOptions(call.request.body)
        try options.validate(maxAge: manager.greatestAge)
        if let grant = manager.acquireIfFresh(key) {
            return .finished(finish(call, .sandbox, Replies.grant(grant, provider: manager.providerName)))
        }
        return .pending {
            await self.answered(call, .sandbox) { () async throws(ManagerError) in
                Replies.grant(try await self.manager.acquire(key, options), provider: self.manager.providerName)
            }
        }
    }

    /// What an operator says is said again without harm; the answer is how things stand now.
    private func administer(_ route: Route) -> ServerResponse {
        switch route {
        case .stopCreates: manager.stopCreations()
        case .resumeCreates: manager.resumeCreations()
        default: manager.drain()
        }
        return Replies.standing(manager.gauges())
    }

    private func answer(_ target: Target, _ key: LeaseKey?, _ call: Call) async -> ServerResponse {
        await answered(call, target.route) { () async throws(ManagerError) in
            guard let key else { return try await self.answerForAll(target.route, call.request) }
            return try await self.answer(target.route, key, call.request)
        }
    }

    private func answer(
        _ route: Route,
        _ key: LeaseKey,
        _ request: ServerRequest
    ) async throws(ManagerError) -> ServerResponse {
        let provider = manager.providerName
        switch (route, request.method) {
        case (.sandbox, .delete):
            switch try await manager.release(key) {
            case .released: return ServerResponse(status: 204)
            case .releasing: return Replies.json(202, JSONWriter.object { $0.field("state", "releasing") })
            }
        case (.sandbox, _): return Replies.lease(try await manager.describe(key), provider: provider)
        case (.keepalive, _): return Replies.lease(try await manager.keepalive(key), provider: provider)
        case (.pause, _): return Replies.lease(try await manager.pause(key), provider: provider)
        case (.reportUnhealthy, _): return Replies.verdict(try await manager.reportUnhealthy(key))
        case (.exec, _): return Replies.exec(try await manager.exec(key, try RequestBody.execRequest(request.body)))
        case (.explain, _): return Replies.explanation(key, try await manager.explain(key), provider: provider)
        default: throw .internal("a route without an answer")
        }
    }

    private func answerForAll(_ route: Route, _ request: ServerRequest) async throws(ManagerError) -> ServerResponse {
        switch route {
        case .sandboxes:
            let query = try ListQuery(request.rawQuery)
            let page = try await manager.list(user: query.user, limit: query.limit, after: query.cursor)
            return Replies.leases(page.leases, cursor: page.cursor, provider: manager.providerName)
        case .stats:
            let stats = try await manager.stats()
            return Replies.stats(stats.totals, stats.gauges, provider: manager.providerName, version: metrics.version)
        default:
            throw .internal("a route without an answer")
        }
    }

    /// Runs asynchronous work under the request's deadline (I9): nobody notices a client that hung up meanwhile.
    private func answered(
        _ call: Call,
        _ route: Route,
        _ work: @escaping @Sendable () async throws(ManagerError) -> ServerResponse
    ) async -> ServerResponse {
        // A command has a limit of its own, and the manager's waits end by themselves a little before this one.
        let limit = (route == .exec ? RequestBody.longestExec : requestDeadline) + .seconds(10)
        let outcome = await runtime.bounded("request", by: limit) { isCancelled in
            Result<ServerResponse, ManagerError>.failure(
                isCancelled ? .draining : .timedOut(operation: .request, after: limit)
            )
        } _: {
            do throws(ManagerError) {
                return .success(try await work())
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let response): return finish(call, route, response)
        case .failure(let error): return finish(call, route, Problem(error).response(requestID: call.id))
        }
    }
}

// MARK: Refusals and bookkeeping

extension ControlAPI {
    /// One request under way.
    struct Call: Sendable {
        var request: ServerRequest
        var id: String
        var start: MonotonicInstant
    }

    private func routeRefusal(_ request: ServerRequest) -> Problem? {
        let route = PathParser.route(of: request.rawPath)
        let isServed =
            switch route {
            case .other, .metrics, .healthz, .readyz: false
            default: true
            }
        guard isServed else { return Problem(.routeNotFound, "there is no such route") }
        let methods = route.methods
        guard methods.contains(request.method.rawValue) else {
            var problem = Problem(.methodNotAllowed, "this route answers \(methods.joined(separator: ", "))")
            problem.allow = methods.joined(separator: ", ")
            return problem
        }
        return nil
    }

    private func mediaRefusal(_ request: ServerRequest) -> Problem? {
        let announcesBody =
            request.headers[.contentLength].map { $0 != "0" } ?? request.headers.contains(.transferEncoding)
        guard announcesBody, request.method == .put || request.method == .post else { return nil }
        let type = request.headers[.contentType]?.prefix { $0 != ";" }.lowercased()
        let words = (type ?? "").split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words == ["application/json"] else {
            return Problem(.unsupportedMediaType, "the body must be application/json")
        }
        return nil
    }

    private func refuse(_ problem: Problem, _ request: ServerRequest) -> ServerResponse {
        let call = Call(request: request, id: requestID(request), start: runtime.time.now())
        return finish(call, PathParser.route(of: request.rawPath), problem.response(requestID: call.id))
    }

    /// Books a request and gives its answer the request's id.
    func finish(_ call: Call, _ route: Route, _ response: ServerResponse) -> ServerResponse {
        let took = runtime.time.now() - call.start
        metrics.answered(route, method: call.request.method.rawValue, code: response.status, took: took)
        log.debug(
            "answered",
            metadata: [
                "request_id": "\(call.id)", "method": "\(call.request.method.rawValue)",
                "route": "\(route.rawValue)", "status": "\(response.status)", "seconds": "\(took.inSeconds)",
            ]
        )
        var response = response
        // Nobody has set it yet, and appending is cheaper than looking.
        response.headers.append(HTTPField(name: .requestID, value: call.id))
        return response
    }

    /// The caller's id if it is harmless in a log, else one of ours.
    private func requestID(_ request: ServerRequest) -> String {
        if let given = request.headers[.requestID], (1...64).contains(given.utf8.count),
            given.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        {
            return given
        }
        return requestIDs.next()
    }
}
