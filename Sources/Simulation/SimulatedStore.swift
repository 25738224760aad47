internal import SandboxCore
internal import StandIns

/// The shared store's server and the network before it.
///
/// Confined to the simulation's thread.
final class SimulatedStore: TimeSource, @unchecked Sendable {
    /// What other parts want to know of calls that took effect.
    var onEffect: (StandInCall, StoreWire) -> Void = { _, _ in }
    let timeline: Timeline
    let dice: Dice
    let weather: Weather
    private(set) lazy var server = StandInServer(time: self)
    private(set) var wires: [StoreWire] = []
    private let wallZero: Int64
    /// Lives of the store so far.
    private(set) var losses = 0
    private(set) var lastLoss: Int64 = -1

    init(timeline: Timeline, dice: Dice, weather: Weather, wallZero: Int64) {
        self.timeline = timeline
        self.dice = dice
        self.weather = weather
        self.wallZero = wallZero
    }

    // The server's own clocks: no replica's.
    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: .nanoseconds(timeline.now)) }
    func wallNow() -> WallTime { WallTime(sinceEpoch: .nanoseconds(wallZero + timeline.now)) }
    func sleep(until deadline: MonotonicInstant) async {}

    func connect(_ process: SimulatedProcess) -> (wire: StoreWire, connection: StandInSharedStore) {
        let wire = StoreWire(store: self, process: process)
        wires.append(wire)
        let connection = server.connect(over: wire)
        wire.connection = connection
        return (wire, connection)
    }

    func disconnect(_ wire: StoreWire) {
        wires.removeAll { $0 === wire }
        if let connection = wire.connection { server.disconnect(connection) }
    }

    /// Everything is gone. After a restart subscriptions are too; after a flush they live on.
    func lose(isRestart: Bool) {
        server.lose()
        losses += 1
        lastLoss = timeline.now
        if isRestart { for wire in wires { wire.subscriptionBroke() } }
    }
}

/// One replica's way to the store: delays, losses, and a subscription to what other replicas end.
///
/// It behaves as the client of Redis does: a call waits a second, is made once more after a tenth of one, and fails then.
/// Confined to the simulation's thread.
final class StoreWire: StandInWire, @unchecked Sendable {
    private static let limit: Int64 = .seconds(1)
    private static let retryPause: Int64 = .milliseconds(100)
    /// Scripts that keep their answer under the name of the call, as they would answer differently the second time.
    private static let remembered: Set<String> = [
        "release", "end", "forget", "confirmKilled", "claimWarm", "deferKill", "dueKills", "dueIntents", "takeDuty",
    ]

    let process: SimulatedProcess
    private unowned let store: SimulatedStore
    weak var connection: StandInSharedStore?
    /// Nothing passes before this.
    private var cutUntil: Int64 = 0
    /// Nothing comes back before this.
    private var muteUntil: Int64 = 0
    private var hear: (@Sendable (StoreNotice) -> Void)?
    private var isSubscribed = false
    /// Since when the replica does not hear endings and does not know it; `nil` while it does hear or does know.
    private(set) var unknowinglyDeafSince: Int64?
    private var subscription = 0
    /// Endings on their way to the replica, by key: the greatest epoch of each and when it arrives.
    private(set) var pending: [LeaseKey: (epoch: Epoch, at: Int64)] = [:]
    /// Releases of this replica that it has no answer of yet, by key.
    private(set) var releasing: [LeaseKey: Int] = [:]
    /// When the last told ending arrives everywhere: what a release waits for.
    private var lastArrival: Int64 = 0

    init(store: SimulatedStore, process: SimulatedProcess) {
        self.store = store
        self.process = process
    }

    private var timeline: Timeline { store.timeline }

    // MARK: Faults

    func cut(for time: Int64) {
        cutUntil = max(cutUntil, timeline.now + time)
        if isSubscribed, unknowinglyDeafSince == nil {
            unknowinglyDeafSince = timeline.now
            // A silent subscription is tested every two seconds.
            let broken = subscription
            timeline.after(store.dice.time(.milliseconds(1), .milliseconds(2500))) {
                if self.subscription == broken { self.subscriptionBroke() }
            }
        }
    }

    func mute(for time: Int64) { muteUntil = max(muteUntil, timeline.now + time) }

    func mend() {
        cutUntil = timeline.now
        muteUntil = timeline.now
    }

    var isCut: Bool { cutUntil > timeline.now }

    // MARK: Calls

    func carry<Value: Sendable>(
        _ call: StandInCall,
        _ effect: @escaping @Sendable () -> Result<Value, StoreError>
    ) async -> Result<Value, StoreError> {
        let memory = Remembered<Value>()
        if call.name == "release", let key = call.key { releasing[key, default: 0] += 1 }
        defer {
            if call.name == "release", let key = call.key, let rest = releasing[key] {
                releasing[key] = rest > 1 ? rest - 1 : nil
            }
        }
        for attempt in 0..<2 {
            let answer = Reply<Result<Value, StoreError>>()
            send(call, effect, memory, answer)
            let timer = timeline.after(Self.limit) {
                self.process.reach { answer.settle(.failure(StoreError("no answer in time"))) }
            }
            let outcome = await answer.wait()
            timer.cancel()
            guard case .failure(let error) = outcome, error.kind == .unreachable else { return outcome }
            // A heartbeat fails early.
            guard attempt == 0, call.name != "beat", call.name != "attach" else { return outcome }
            await process.sleep(for: .nanoseconds(Self.retryPause))
        }
        return .failure(StoreError("no answer"))
    }

    private func send<Value: Sendable>(
        _ call: StandInCall,
        _ effect: @escaping @Sendable () -> Result<Value, StoreError>,
        _ memory: Remembered<Value>,
        _ answer: Reply<Result<Value, StoreError>>
    ) {
        let slow = store.weather.strikes(.storeSlow)
        let longest: Int64 = slow ? .milliseconds(1800) : .milliseconds(6)
        let there = store.dice.spread(.milliseconds(1) / 4, longest)
        let back = store.dice.spread(.milliseconds(1) / 4, longest)
        guard !isCut else {
            // Refused at once, or silence.
            if store.dice.chance(0.3) {
                timeline.after(there) {
                    self.process.reach { answer.settle(.failure(StoreError("connection refused"))) }
                }
            }
            return
        }
        timeline.after(there) {
            guard !self.isCut else { return }
            let outcome: Result<Value, StoreError>
            if Self.remembered.contains(call.name), let known = memory.outcome {
                outcome = known
            } else {
                self.store.wires.forEach { $0.lastArrival = 0 }
                outcome = effect()
                if case .success = outcome { memory.outcome = outcome }
                self.store.onEffect(call, self)
            }
            // A release returns when every other replica that listens has dropped its copy, or a second later.
            let arrival = call.name == "release" ? self.store.wires.map(\.lastArrival).max() ?? 0 : 0
            let acknowledged = min(arrival, self.timeline.now + Self.limit)
            let at = max(self.timeline.now + back, acknowledged + (acknowledged > 0 ? back : 0))
            guard !self.isCut, self.muteUntil <= self.timeline.now else { return }
            self.timeline.at(at) {
                guard !self.isCut else { return }
                self.process.reach { answer.settle(outcome) }
            }
        }
    }

    // MARK: Endings

    func deliver(_ notice: StoreNotice, _ hear: @escaping @Sendable (StoreNotice) -> Void) {
        guard isSubscribed, case .ended(let key, let epoch) = notice else { return }
        guard unknowinglyDeafSince == nil else {
            // Published to a connection that is dead and not closed: whoever waits for the acknowledgement waits long.
            lastArrival = timeline.now + Self.limit
            pending[key] = (max(epoch, pending[key]?.epoch ?? epoch), .max)
            return
        }
        let at = timeline.now + store.dice.spread(.milliseconds(1) / 4, .milliseconds(6))
        lastArrival = at
        pending[key] = (max(epoch, pending[key]?.epoch ?? epoch), at)
        let listened = subscription
        timeline.at(at) {
            self.process.reach {
                guard self.subscription == listened, self.unknowinglyDeafSince == nil else { return }
                if let known = self.pending[key], known.epoch <= epoch { self.pending[key] = nil }
                hear(notice)
            }
        }
    }

    func listen(_ hear: @escaping @Sendable (StoreNotice) -> Void) async {
        self.hear = hear
        subscribe()
        while !Task.isCancelled { await process.sleep(for: .seconds(3600)) }
    }

    /// The replica learns that it is deaf, and subscribes anew.
    func subscriptionBroke() {
        guard isSubscribed else { return }
        isSubscribed = false
        subscription += 1
        process.reach {
            self.unknowinglyDeafSince = nil
            self.pending = [:]
            self.hear?(.deaf)
            self.subscribe()
        }
    }

    private func subscribe() {
        timeline.after(store.dice.time(.milliseconds(1), .milliseconds(400))) {
            self.process.reach {
                guard !self.isCut else { return self.subscribe() }
                self.isSubscribed = true
                self.unknowinglyDeafSince = nil
                self.hear?(.listening)
            }
        }
    }
}

/// The answer of a call's first effect, for its repetition. Confined to the simulation's thread.
private final class Remembered<Value: Sendable>: @unchecked Sendable {
    var outcome: Result<Value, StoreError>?
}
