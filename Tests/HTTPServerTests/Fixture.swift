import HTTPServer
import HTTPTypes
import Synchronization
import TestSupport
import Testing

/// Holds pending work until a test lets it go.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            defer { state = (true, []) }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// A handler with one path for each behaviour.
struct TestHandler: HTTPHandler {
    let gate = Gate()
    private let log = Log()

    private final class Log: Sendable {
        let admitted = Atomic<Int>(0)
        let handled = Atomic<Int>(0)
    }

    /// Requests that were asked for admission, and those that were handled.
    var admitted: Int { log.admitted.load(ordering: .relaxed) }
    var handled: Int { log.handled.load(ordering: .relaxed) }

    func admit(_ request: ServerRequest) -> ServerResponse? {
        log.admitted.add(1, ordering: .relaxed)
        return request.headers[.authorization] == "wrong" ? text("no", status: 401) : nil
    }

    func handle(_ request: ServerRequest) -> Handling {
        log.handled.add(1, ordering: .relaxed)
        switch request.rawPath {
        case "/echo": return .finished(ServerResponse(status: 200, body: request.body))
        case "/pending": return .pending { text("later") }
        case "/gate":
            return .pending {
                await gate.pass()
                return text("let go")
            }
        case "/method": return .finished(text(request.method.rawValue))
        case "/headers":
            let lines = request.headers.fields.map { "\($0.name.canonicalName)=\($0.value)" }
            return .finished(text(lines.joined(separator: "\n")))
        case "/impossible": return .finished(ServerResponse(status: 42))
        case "/close": return .finished(ServerResponse(status: 200, body: Array("bye".utf8), closeConnection: true))
        case "/own-framing":
            return .finished(
                ServerResponse(
                    status: 200,
                    headers: [.contentLength: "999", .connection: "close", .contentType: "text/x"],
                    body: Array("own".utf8)
                )
            )
        default: return .finished(text(request.rawPath + (request.rawQuery.map { "?\($0)" } ?? "")))
        }
    }

    func refusal(_ refusal: ServerRefusal, request: ServerRequest?) -> ServerResponse {
        text("refused: \(refusal.detail)", status: refusal.status)
    }

    private func text(_ text: String, status: Int = 200) -> ServerResponse {
        ServerResponse(status: status, headers: [.contentType: "text/plain"], body: Array(text.utf8))
    }
}

/// Counts what the server reports.
final class Recorder: HTTPServerObserver {
    struct Counts {
        var opened = 0
        var closed = 0
        var started = 0
        var statuses: [Int?] = []
        var refusals: [ServerRefusal] = []
        var deadlines: [ConnectionDeadline] = []
    }

    private let state = Mutex(Counts())
    var counts: Counts { state.withLock { $0 } }

    func connectionOpened() { state.withLock { $0.opened += 1 } }
    func connectionClosed() { state.withLock { $0.closed += 1 } }
    func requestStarted() { state.withLock { $0.started += 1 } }
    func requestFinished(status: Int?) { state.withLock { $0.statuses.append(status) } }
    func requestRefused(_ refusal: ServerRefusal) { state.withLock { $0.refusals.append(refusal) } }
    func deadlinePassed(_ deadline: ConnectionDeadline) { state.withLock { $0.deadlines.append(deadline) } }
}

/// A started server with its handler and recorder.
struct Fixture: Sendable {
    let server: HTTPServer
    let handler: TestHandler
    let recorder: Recorder

    init(_ configure: (inout HTTPServerConfiguration) -> Void = { _ in }) {
        var configuration = HTTPServerConfiguration()
        configure(&configuration)
        handler = TestHandler()
        recorder = Recorder()
        server = HTTPServer(configuration: configuration, handler: handler, observer: recorder) { work in
            let task = Task { await work() }
            return { task.cancel() }
        }
    }

    func connect() throws -> RawHTTPClient { try RawHTTPClient(port: server.port) }

    /// Sends one request on a new connection and reads its response.
    func request(
        _ method: String,
        _ target: String,
        headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) throws -> RawHTTPClient.Response {
        try connect().request(method, target, headers: headers, body: body)
    }

    /// Sends bytes on a new connection and reads one response.
    func exchange(_ text: String) throws -> RawHTTPClient.Response {
        let client = try connect()
        try client.send(text)
        return try client.readResponse()
    }
}

/// Runs a test against a server of its own; in the end checks that nothing is left of any request or connection.
func withServer(
    _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable (Fixture) throws -> Void
) async throws {
    let fixture = Fixture(configure)
    try fixture.server.start()
    let result: Result<Void, any Error>
    do {
        result = .success(try await runOnThread { try body(fixture) })
    } catch {
        result = .failure(error)
    }
    // The completed callback lags the client's view of the response.
    let isQuiet = try await runOnThread { [server = fixture.server] in
        waitUntil { server.activeRequests == 0 && server.pendingRequests == 0 }
    }
    await fixture.server.stop(gracePeriod: .zero)
    try result.get()
    #expect(isQuiet, "requests were left over", sourceLocation: sourceLocation)
    let counts = fixture.recorder.counts
    #expect(counts.started == counts.statuses.count, sourceLocation: sourceLocation)
    #expect(counts.opened == counts.closed, sourceLocation: sourceLocation)
}
