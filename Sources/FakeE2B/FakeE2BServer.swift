internal import Glibc
internal import Synchronization

/// A stand-in for E2B's cloud on loopback: control plane and edge, with faults. For tests and drills only.
///
/// It keeps the rules of the real one as far as a manager can notice them, and runs nothing.
public final class FakeE2BServer: Sendable {
    private let cloud: Mutex<FakeCloud>
    private let journalEntries = Mutex(Journal())
    private let arrived = Atomic(0)
    private let undecided = Atomic(0)
    private let listeners = Mutex<(api: FakeListener, edge: FakeListener)?>(nil)

    /// Starts both listeners.
    public init(_ configuration: FakeE2BConfiguration = FakeE2BConfiguration()) throws(FakeE2BError) {
        cloud = Mutex(FakeCloud(configuration))
        let api = try FakeListener(port: configuration.ports.api) { [weak self] in self?.serve($0, atEdge: false) }
        let edge = try FakeListener(port: configuration.ports.edge) { [weak self] in self?.serve($0, atEdge: true) }
        listeners.withLock { $0 = (api, edge) }
    }

    deinit { stop() }

    /// Closes both ports and every connection.
    public func stop() {
        let pair = listeners.withLock { $0 }
        pair?.api.close()
        pair?.edge.close()
    }

    /// Base URL of the control plane.
    public var apiURL: String { "http://127.0.0.1:\(apiPort)" }
    /// Base URL of the edge.
    public var sandboxURL: String { "http://127.0.0.1:\(edgePort)" }
    /// Port of the control plane.
    public var apiPort: Int { listeners.withLock { Int($0?.api.port ?? 0) } }
    /// Port of the edge.
    public var edgePort: Int { listeners.withLock { Int($0?.edge.port ?? 0) } }

    // MARK: What tests ask and do

    /// A sandbox as a test sees it.
    public struct Sandbox: Sendable, Hashable {
        /// Its id.
        public var id: String
        /// `running` or `paused`.
        public var state: String
        /// Its metadata.
        public var metadata: [String: String]
        /// Seconds until it ends; negative for a paused one.
        public var remainingSeconds: Double
        /// Whether it would pause by itself.
        public var autoPause: Bool
    }

    /// All sandboxes, those included that nobody sees yet.
    public var sandboxes: [Sandbox] {
        cloud.withLock { cloud in
            cloud.catchUp()
            return cloud.sandboxes.values.map { sandbox in
                Sandbox(
                    id: sandbox.id,
                    state: sandbox.isPaused ? "paused" : "running",
                    metadata: sandbox.metadata,
                    remainingSeconds: Double(sandbox.endAt - cloud.clock.now) / 1_000_000,
                    autoPause: sandbox.autoPause
                )
            }
        }
    }

    /// Every sandbox that there has ever been since the start or the last reset, the first one first.
    public var lives: [FakeLife] {
        let everything = cloud.withLock { cloud in
            cloud.catchUp()
            return Array(cloud.lives.values)
        }
        return everything.sorted { $0.from < $1.from }
    }

    /// What happened so far: requests by operation, and `created`, `killed`, `expired`, `peak_running` and the like.
    public var counters: [String: Int] { cloud.withLock { $0.counters } }

    /// Requests that were read, answered or not.
    public var arrivals: Int { arrived.load(ordering: .relaxed) }

    /// Whether every request that was read has taken its effect, or never will.
    public var isQuiet: Bool { undecided.load(ordering: .relaxed) == 0 }

    /// The latest requests.
    public var journal: [FakeExchange] { journalEntries.withLock { $0.exchanges } }

    /// Adds a fault.
    public func inject(_ fault: FakeFault) { cloud.withLock { $0.faults.append(fault) } }

    /// Removes every fault.
    public func clearFaults() { cloud.withLock { $0.faults.removeAll() } }

    /// Moves the clock forward; what expires meanwhile has expired.
    public func advance(seconds: Double) {
        cloud.withLock { cloud in
            cloud.clock.ahead += Int(seconds * 1_000_000)
            cloud.catchUp()
        }
    }

    /// How the agent of a sandbox behaves: `open`, `closed`, `unrouted` or `hung`.
    public func setAgent(_ behaviour: String, of id: String) {
        guard let agent = FakeSandbox.Agent(rawValue: behaviour) else { return }
        cloud.withLock { $0.sandboxes[id]?.agent = agent }
    }

    /// Ends a sandbox behind everybody's back.
    public func vanish(_ id: String) { cloud.withLock { $0.end(id, .vanished) } }

    /// Makes the draws of faults with a share repeatable.
    public func seed(_ number: UInt64) { cloud.withLock { $0.random = FakeRandom(state: number) } }

    /// Closes or opens one of the ports, `api` or `edge`.
    public func setPort(_ name: String, isOpen: Bool) throws(FakeE2BError) {
        guard let pair = listeners.withLock({ $0 }) else { return }
        let listener = name == "api" ? pair.api : pair.edge
        if isOpen { try listener.open() } else { listener.close() }
    }

    /// Changes the account's limits.
    public func configure(_ change: (inout FakeE2BConfiguration) -> Void) {
        cloud.withLock { change(&$0.configuration) }
    }

    /// Forgets sandboxes, faults, counters and journal.
    public func reset() {
        cloud.withLock { $0 = FakeCloud($0.configuration) }
        journalEntries.withLock { $0 = Journal() }
    }

    // MARK: Serving

    private func serve(_ connection: FakeConnection, atEdge: Bool) {
        var buffer: [UInt8] = []
        while let request = connection.read(&buffer) {
            arrived.add(1, ordering: .relaxed)
            let goesOn =
                if !atEdge, request.path.hasPrefix("/__admin") {
                    deliver(AdminRoutes(self).answer(request), [], connection)
                } else if !atEdge, request.path == "/health" {
                    deliver(.text(200, "Health check successful"), [], connection)
                } else if atEdge {
                    serveEdge(request, connection)
                } else {
                    serveAPI(request, connection)
                }
            guard goesOn, request.headers["connection"]?.lowercased() != "close" else { return }
        }
    }

    private func serveAPI(_ request: FakeRequest, _ connection: FakeConnection) -> Bool {
        let (route, faults) = cloud.withLock { cloud in
            let route = APIRoute(request, hasV2: cloud.configuration.hasV2)
            return (route, cloud.takeFaults(route.operation, route.id))
        }
        return answer(request, route.operation, faults, connection) {
            let delay = faults.filter { $0.kind == .late }.map(\.milliseconds).max() ?? 0
            return .reply(self.cloud.withLock { $0.answerAPI(route, request, lateBy: delay) })
        }
    }

    private func serveEdge(_ request: FakeRequest, _ connection: FakeConnection) -> Bool {
        let route = EdgeRoute(request)
        let faults = cloud.withLock { $0.takeFaults(route.operation, route.id) }
        return answer(request, route.operation, faults, connection) {
            self.cloud.withLock { $0.answerEdge(route, request) }
        }
    }

    /// - Returns: Whether the connection can be used again.
    private func answer(
        _ request: FakeRequest,
        _ operation: Operation,
        _ faults: [FakeFault],
        _ connection: FakeConnection,
        effect: () -> EdgeAnswer
    ) -> Bool {
        undecided.add(1, ordering: .relaxed)
        pause(milliseconds: faults.filter { $0.kind == .latency }.map(\.milliseconds).reduce(0, +))
        let ending = faults.first { [.status, .drop, .hang].contains($0.kind) }
        let answer = ending?.afterEffect == false ? nil : effect()
        undecided.subtract(1, ordering: .relaxed)
        if let ending { return end(ending, request, operation, connection) }
        switch answer {
        case nil: return false
        case .hang:
            note(request, operation, 0)
            connection.waitForEnd()
            return false
        case .reply(let reply):
            note(request, operation, reply.status)
            return deliver(reply, faults, connection)
        case .run(let command, let limit):
            let run = ProcessScript.play(command, within: limit)
            guard connection.isOpen(after: run.milliseconds) else { return false }
            note(request, operation, run.reply.status)
            return deliver(run.reply, faults, connection)
        }
    }

    private func end(
        _ fault: FakeFault,
        _ request: FakeRequest,
        _ operation: Operation,
        _ connection: FakeConnection
    ) -> Bool {
        note(request, operation, fault.kind == .status ? fault.status : 0)
        switch fault.kind {
        case .status: return deliver(fault.reply, [], connection)
        case .hang:
            connection.waitForEnd()
            return false
        default: return false
        }
    }

    private func deliver(_ reply: FakeReply, _ faults: [FakeFault], _ connection: FakeConnection) -> Bool {
        var reply = reply
        reply.headers.append(("Date", FakeClock.httpDate(cloud.withLock { $0.clock.now })))
        if let malformed = faults.first(where: { $0.kind == .malformed }) {
            reply.body = Array((malformed.text ?? "<html>not JSON</html>").utf8)
        }
        if faults.contains(where: { $0.kind == .half }) {
            _ = connection.write(reply.head + reply.body.prefix(reply.body.count / 2))
            return false
        }
        if let slow = faults.first(where: { $0.kind == .slow }) {
            return deliver(reply, bytesPerSecond: slow.bytesPerSecond, connection)
        }
        return connection.write(reply.head + reply.body)
    }

    private func deliver(_ reply: FakeReply, bytesPerSecond: Int, _ connection: FakeConnection) -> Bool {
        guard connection.write(reply.head) else { return false }
        let speed = max(1, bytesPerSecond)
        let step = max(1, speed / 20)
        for start in stride(from: 0, to: reply.body.count, by: step) {
            let piece = Array(reply.body[start..<min(start + step, reply.body.count)])
            guard connection.isOpen(after: 1000 * step / speed), connection.write(piece) else { return false }
        }
        return true
    }

    private func note(_ request: FakeRequest, _ operation: Operation, _ status: Int) {
        let exchange = FakeExchange(request, operation, status: status)
        journalEntries.withLock { $0.append(exchange) }
    }

    private func pause(milliseconds: Int) {
        if milliseconds > 0 { usleep(UInt32(milliseconds) * 1000) }
    }
}
