internal import SandboxCore

/// Somebody who uses the fleet: asks for sandboxes, uses them, lets them go, gives up. Any replica will do.
///
/// Confined to the simulation's thread.
final class ClientScript: @unchecked Sendable {
    private enum Deed {
        case acquire, exec, keepalive, release, pause, report, describe, list, rest
    }

    private let index: Int
    private let world: World
    private let dice: Dice
    private var isOver = false
    /// The key that it works with for a while.
    private var key: LeaseKey

    init(index: Int, world: World) {
        self.index = index
        self.world = world
        dice = world.dice(for: "client \(index)")
        key = world.scenario.keys[index % world.scenario.keys.count]
    }

    func start() {
        Task { await self.live() }
    }

    func stop() { isOver = true }

    private func live() async {
        while !isOver {
            await world.timeline.sleep(dice.spread(.milliseconds(5), .seconds(6)))
            guard !isOver else { return }
            if dice.chance(0.25), let other = dice.pick(world.scenario.keys) { key = other }
            await act(deed())
        }
    }

    private func deed() -> Deed {
        switch dice.below(100) {
        case ..<56: .acquire
        case ..<68: .exec
        case ..<76: .keepalive
        case ..<86: .release
        case ..<89: .pause
        case ..<93: .report
        case ..<96: .describe
        case ..<98: .list
        default: .rest
        }
    }

    private func act(_ deed: Deed) async {
        let key = key
        switch deed {
        case .acquire: await acquire(key)
        case .release:
            await ask("release", key) { manager throws(ManagerError) in
                "\(try await manager.release(key))"
            }
        case .keepalive:
            await ask("keepalive", key, isUse: true) { manager throws(ManagerError) in
                try await manager.keepalive(key).record.sandbox.id.rawValue
            }
        case .exec:
            let request = ExecRequest(
                command: ["true"],
                timeout: .nanoseconds(dice.spread(.milliseconds(50), .seconds(8)))
            )
            await ask("exec", key, isUse: true) { manager throws(ManagerError) in
                _ = try await manager.exec(key, request)
                return ""
            }
        case .pause:
            await ask("pause", key) { manager throws(ManagerError) in
                try await manager.pause(key).record.sandbox.id.rawValue
            }
        case .report:
            await ask("report", key) { manager throws(ManagerError) in
                "\(try await manager.reportUnhealthy(key).result.rawValue)"
            }
        case .describe:
            await ask("describe", key) { manager throws(ManagerError) in
                try await manager.describe(key).record.sandbox.id.rawValue
            }
        case .list:
            await ask("list", key) { manager throws(ManagerError) in
                "\(try await manager.list(user: key.user, limit: 100, after: nil).leases.count)"
            }
        case .rest:
            await world.timeline.sleep(dice.time(.seconds(20), .seconds(60)))
        }
    }

    private func acquire(_ key: LeaseKey) async {
        var options = AcquireOptions()
        if dice.chance(0.2) { options.metadata = ["purpose": "own"] }
        let limit: Duration? = dice.chance(0.2) ? .nanoseconds(dice.spread(.milliseconds(100), .seconds(20))) : nil
        let wishes = options
        _ = await Self.acquire(key, wishes, limit, through: replica(), world, givesUp: giveUp())
    }

    /// One acquire, checked.
    @discardableResult
    static func acquire(
        _ key: LeaseKey,
        _ options: AcquireOptions = AcquireOptions(),
        _ limit: Duration? = nil,
        through replica: Replica?,
        _ world: World,
        givesUp: Int64? = nil
    ) async -> Result<Grant, ManagerError>? {
        guard let replica, let life = replica.life else { return nil }
        let ask = world.checker.asked("acquire", key, life.process)
        let (reply, task) = life.process.serve {
            let outcome = await Result<Grant, ManagerError>.of { () async throws(ManagerError) in
                try await life.manager.acquire(key, options, within: limit)
            }
            // In the job that has the answer: whatever happens between here and the client is not the manager's.
            if case .success(let grant) = outcome { world.checker.granted(grant, ask, replica) }
            return outcome
        }
        if let givesUp { world.timeline.after(givesUp) { task.cancel() } }
        let outcome = await reply.wait()
        world.checker.answered(ask, outcome.map { $0.summary } ?? "connection lost")
        return outcome
    }

    /// - Returns: When this client gives up, if it does.
    private func giveUp() -> Int64? {
        world.weather.strikes(.cancel) ? dice.spread(.milliseconds(1), .seconds(3)) : nil
    }

    private func replica() -> Replica? { dice.pick(world.replicas.filter { $0.life != nil }) }

    private func ask(
        _ name: String,
        _ key: LeaseKey,
        isUse: Bool = false,
        _ work: @escaping @Sendable (SandboxManager) async throws(ManagerError) -> String
    ) async {
        guard let life = replica()?.life else { return }
        let world = world
        let ask = world.checker.asked(name, key, life.process)
        let (reply, task) = life.process.serve {
            let outcome = await Result<String, ManagerError>.of { () async throws(ManagerError) in
                try await work(life.manager)
            }
            if isUse, case .success = outcome { world.checker.used(ask) }
            return outcome
        }
        if let givesUp = giveUp() { world.timeline.after(givesUp) { task.cancel() } }
        let outcome = await reply.wait()
        world.checker.answered(ask, outcome.map { $0.summary } ?? "connection lost")
    }
}

extension Result where Success == Grant, Failure == ManagerError {
    fileprivate var summary: String {
        switch self {
        case .success(let grant): "\(grant.sandbox.id) epoch \(grant.epoch) \(grant.source.rawValue)"
        case .failure(let error): error.reason.rawValue
        }
    }
}

extension Result where Success == String, Failure == ManagerError {
    fileprivate var summary: String {
        switch self {
        case .success(let text): "ok \(text)"
        case .failure(let error): error.reason.rawValue
        }
    }
}
