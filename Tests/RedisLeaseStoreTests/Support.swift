import RedisClient
import SandboxCore
import Synchronization
import TestSupport

@testable import RedisLeaseStore

/// A key that is valid by construction.
func key(_ user: String = "alice", _ project: String = "p1") throws -> LeaseKey {
    try LeaseKey(user: user, project: project)
}

func request(_ key: LeaseKey, _ token: String) -> ReservationRequest {
    ReservationRequest(
        key: key,
        owner: "ignored",
        token: CreationToken(token),
        limits: SlotLimits(perUser: 2000, total: 2000),
        intentDeadline: .seconds(195)
    )
}

func record(_ key: LeaseKey, _ epoch: Epoch, _ token: String, life: Duration = .seconds(800)) -> LeaseRecord {
    LeaseRecord(
        key: key,
        epoch: epoch,
        token: CreationToken(token),
        sandbox: ProviderSandbox(id: SandboxID("sb-\(token)"), template: "base", remainingLife: life),
        createdAt: WallTime(sinceEpoch: .seconds(1_800_000_000)),
        age: .zero,
        idle: .zero,
        idleTimeout: .seconds(500)
    )
}

/// Reserves and commits.
@discardableResult
func lease(_ store: RedisLeaseStore, _ key: LeaseKey, _ token: String) async throws -> Epoch {
    guard case .reserved(let epoch) = try await store.reserve(request(key, token)),
        try await store.commit(record(key, epoch, token)) == epoch
    else { throw StoreError("not leased") }
    return epoch
}

/// How a call failed; `nil` if it did not.
func kind<Value>(_ call: () async throws(StoreError) -> Value) async -> StoreError.Kind? {
    do throws(StoreError) {
        _ = try await call()
        return nil
    } catch {
        return error.kind
    }
}

/// What a replica heard.
final class Heard: Sendable {
    private let notices = Mutex<[StoreNotice]>([])

    var all: [StoreNotice] { notices.withLock { $0 } }

    func append(_ notice: StoreNotice) { notices.withLock { $0.append(notice) } }

    func has(_ notice: StoreNotice) -> Bool { all.contains(notice) }
}

/// A replica that listens for as long as `body` runs.
func listening<Value>(
    _ store: RedisLeaseStore,
    _ body: (Heard) async throws -> Value
) async throws -> Value {
    let heard = Heard()
    store.observe { heard.append($0) }
    let task = Task { await store.listen() }
    guard await eventually({ heard.has(.listening) }) else {
        task.cancel()
        throw StoreError("does not listen")
    }
    do {
        let value = try await body(heard)
        task.cancel()
        await task.value
        return value
    } catch {
        task.cancel()
        await task.value
        throw error
    }
}

/// Runs `body` on a server of its own.
func withWorld<Value>(
    _ arguments: [String] = [],
    tuning: Tuning = Tuning(),
    _ body: (World) async throws -> Value
) async throws -> Value {
    let world = try await World(arguments, tuning: tuning)
    do {
        let value = try await body(world)
        await world.end()
        return value
    } catch {
        await world.end()
        throw error
    }
}

extension World {
    /// A command behind the stores' backs.
    @discardableResult
    func redis(_ words: String...) async throws -> RedisValue {
        try await admin.send(RedisCommand(words.map { Array($0.utf8) }, isIdempotent: true))
    }

    /// The names of all keys, without those that live for moments only.
    func keys() async throws -> Set<String> {
        let names = try await redis("KEYS", "*").array?.compactMap(\.text) ?? []
        return Set(names.filter { !$0.contains(":reply:") })
    }
}
