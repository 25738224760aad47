/// Decides which request may have a connection next. Pure.
///
/// libcurl has limits of its own, but one queue for all hosts of which it tries only the head when a connection
/// becomes free: requests to a host that hangs would hold up those behind them. Here each origin has its own queue, and
/// origins take turns. An origin is known only while it has requests, which bounds the memory.
struct AdmissionQueue {
    struct Limits {
        var connectionsPerOrigin: Int
        var connections: Int
        var streamsPerConnection = 100
    }

    private struct Origin {
        var active = 0
        /// Whether its connections carry several requests at once; learned from responses.
        var multiplexes = false
        var waiting: [UInt64] = []

        /// Connections that `active` requests keep busy.
        func connections(for active: Int, streams: Int) -> Int {
            multiplexes ? (active + streams - 1) / streams : active
        }
    }

    private let limits: Limits
    private var origins: [String: Origin] = [:]
    /// Origins with waiting requests, the one whose turn it is first.
    private var turns: [String] = []
    private var busyConnections = 0
    private(set) var waitingCount = 0

    init(limits: Limits) {
        self.limits = limits
    }

    var originCount: Int { origins.count }

    /// Queues a request. How many may wait is the caller's business.
    mutating func enqueue(_ id: UInt64, origin: String) {
        if origins[origin, default: Origin()].waiting.isEmpty { turns.append(origin) }
        origins[origin, default: Origin()].waiting.append(id)
        waitingCount += 1
    }

    /// Takes the next request that may start; it counts as active until `finish`.
    mutating func next() -> UInt64? {
        for index in turns.indices {
            let name = turns[index]
            guard var origin = origins[name], mayStart(origin) else { continue }
            let id = origin.waiting.removeFirst()
            waitingCount -= 1
            setActive(&origin, to: origin.active + 1)
            turns.remove(at: index)
            if !origin.waiting.isEmpty { turns.append(name) }
            origins[name] = origin
            return id
        }
        return nil
    }

    /// Ends an active request; `multiplexes` says what its response told about the origin, if there was one.
    mutating func finish(origin name: String, multiplexes: Bool?) {
        guard var origin = origins[name] else { return }
        busyConnections -= origin.connections(for: origin.active, streams: limits.streamsPerConnection)
        origin.active -= 1
        if let multiplexes { origin.multiplexes = multiplexes }
        busyConnections += origin.connections(for: origin.active, streams: limits.streamsPerConnection)
        origins[name] = origin.active == 0 && origin.waiting.isEmpty ? nil : origin
    }

    /// Removes a waiting request that was given up.
    mutating func remove(_ id: UInt64, origin name: String) {
        guard var origin = origins[name], let index = origin.waiting.firstIndex(of: id) else { return }
        origin.waiting.remove(at: index)
        waitingCount -= 1
        if origin.waiting.isEmpty { turns.removeAll { $0 == name } }
        origins[name] = origin.active == 0 && origin.waiting.isEmpty ? nil : origin
    }

    private func mayStart(_ origin: Origin) -> Bool {
        let streams = limits.streamsPerConnection
        let after = origin.connections(for: origin.active + 1, streams: streams)
        let added = after - origin.connections(for: origin.active, streams: streams)
        return added == 0 || (after <= limits.connectionsPerOrigin && busyConnections + added <= limits.connections)
    }

    private mutating func setActive(_ origin: inout Origin, to active: Int) {
        busyConnections -= origin.connections(for: origin.active, streams: limits.streamsPerConnection)
        origin.active = active
        busyConnections += origin.connections(for: origin.active, streams: limits.streamsPerConnection)
    }
}
