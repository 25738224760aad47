/// What the edge makes of a request for a sandbox.
enum EdgeAnswer: Sendable {
    case reply(FakeReply)
    /// Nobody ever answers.
    case hang
    /// A command, with the milliseconds that it may take.
    case run([String], within: Int?)
}

/// Which call a request to the edge is.
struct EdgeRoute {
    static let agentPort = 49983
    private static let reserved: Set<String> = ["/init", "/snapshot", "/freeze", "/upgrade"]

    var operation: Operation
    /// The sandbox and port that the request names, or what is wrong with its way of naming them.
    var target: Result<(id: String, port: Int), FakeFailure>
    var isReserved: Bool

    init(_ request: FakeRequest) {
        switch (request.method, request.path) {
        case ("GET", "/health"): operation = .health
        case ("POST", "/filesystem.Filesystem/ListDir"): operation = .listdir
        case ("POST", "/process.Process/Start"): operation = .start
        default: operation = .unknown
        }
        isReserved = Self.reserved.contains(request.path)
        target = Self.target(of: request)
    }

    var id: String? { try? target.get().id }

    /// The headers count only for hosts that cannot name a sandbox themselves.
    private static func target(of request: FakeRequest) -> Result<(id: String, port: Int), FakeFailure> {
        let host = (request.headers["host"] ?? "").split(separator: ":").first.map(String.init) ?? ""
        let isAddress = host.split(separator: ".").allSatisfy { Int($0) != nil } && !host.isEmpty
        let id: String
        let port: String
        if host == "localhost" || isAddress || host.hasPrefix("sandbox.") {
            switch (request.headers["e2b-sandbox-id"], request.headers["e2b-sandbox-port"]) {
            case (let named?, let numbered?): (id, port) = (named, numbered)
            case (nil, nil): return .failure(FakeFailure(400, "Invalid host"))
            default: return .failure(FakeFailure(400, "missing header"))
            }
        } else {
            let label = host.split(separator: ".").first.map(String.init) ?? ""
            let parts = label.split(separator: "-", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return .failure(FakeFailure(400, "Invalid host")) }
            (port, id) = (parts[0], parts[1])
        }
        guard let checked = FakeCloud.sandboxID(id) else { return .failure(FakeFailure(400, "Invalid sandbox ID")) }
        guard let number = Int(port), (1...65535).contains(number) else {
            return .failure(FakeFailure(400, "Invalid sandbox port"))
        }
        return .success((checked, number))
    }
}

extension FakeCloud {
    mutating func answerEdge(_ route: EdgeRoute, _ request: FakeRequest) -> EdgeAnswer {
        catchUp()
        count(route.operation == .unknown ? "edge_unknown" : route.operation.rawValue)
        let id: String
        let port: Int
        switch route.target {
        // The edge's own errors are plain text.
        case .failure(let failure): return .reply(.text(failure.status, failure.message))
        case .success(let target): (id, port) = target
        }
        guard var sandbox = try? sandbox(id) else { return .reply(Self.notFound(id)) }
        if sandbox.isPaused {
            guard sandbox.autoResume else { return .reply(Self.notFound(id)) }
            guard (try? resume(sandbox, max(sandbox.createTimeout, 300))) != nil else {
                return .reply(Self.refusal(429, id, "team over its limit"))
            }
            sandbox.isPaused = false
        }
        switch sandbox.agent {
        case .unrouted: return .reply(.text(502, "Failed to route request to sandbox\n"))
        case .hung: return .hang
        case .closed: return .reply(Self.portClosed(id, port))
        case .open where port != EdgeRoute.agentPort: return .reply(Self.portClosed(id, port))
        case .open: return agent(sandbox, route, request)
        }
    }

    // MARK: The agent

    private func agent(_ sandbox: FakeSandbox, _ route: EdgeRoute, _ request: FakeRequest) -> EdgeAnswer {
        if route.isReserved {
            return .reply(.json(404, ["message": "Not found", "path": .text(request.path), "code": 404]))
        }
        if route.operation == .health {
            return .reply(FakeReply(status: 204, headers: [("Cache-Control", "no-store")]))
        }
        guard !sandbox.isSecure || request.headers["x-access-token"] == sandbox.token else {
            let words = "unauthorized access, please provide a valid access token or method signing if supported"
            return .reply(.json(401, ["code": 401, "message": .text(words)]))
        }
        switch route.operation {
        case .listdir: return .reply(Self.listDirectory(request))
        case .start: return Self.start(request)
        default: return .reply(.json(404, ["message": "Not found", "path": .text(request.path), "code": 404]))
        }
    }

    private static func listDirectory(_ request: FakeRequest) -> FakeReply {
        guard request.headers["content-type"]?.hasPrefix("application/json") == true else { return .text(415, "") }
        switch request.json?["path"]?.text {
        case ".", "/home/user":
            return .json(
                200,
                ["entries": [["name": "code", "type": "FILE_TYPE_DIRECTORY", "path": "/home/user/code"]]]
            )
        // An empty list is a default, which this JSON leaves out.
        case "/home/user/code": return .json(200, [:])
        case let path?: return .json(404, ["code": "not_found", "message": .text("path not found: \(path)")])
        case nil: return .json(400, ["code": "invalid_argument", "message": "no path"])
        }
    }

    private static func start(_ request: FakeRequest) -> EdgeAnswer {
        guard request.headers["content-type"]?.hasPrefix("application/connect+json") == true else {
            return .reply(.text(415, ""))
        }
        guard request.body.count > 5, let body = JSONValue(Array(request.body.dropFirst(5))),
            let process = body["process"], let command = process["cmd"]?.text
        else { return .reply(ProcessScript.failed("invalid_argument", "a frame that cannot be read")) }
        let arguments = process["args"]?.list?.compactMap(\.text) ?? []
        return .run([command] + arguments, within: request.headers["connect-timeout-ms"].flatMap { Int($0) })
    }

    // MARK: The edge's words

    private static func notFound(_ id: String) -> FakeReply { refusal(502, id, "The sandbox was not found") }

    private static func portClosed(_ id: String, _ port: Int) -> FakeReply {
        .json(
            502,
            [
                "sandboxId": .text(id), "message": "The sandbox is running but port is not open", "port": .int(port),
                "code": 502,
            ]
        )
    }

    private static func refusal(_ status: Int, _ id: String, _ message: String) -> FakeReply {
        .json(status, ["sandboxId": .text(id), "message": .text(message), "code": .int(status)])
    }
}
