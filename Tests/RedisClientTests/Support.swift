import Glibc
import RedisClient
import Synchronization
import TestSupport
import Testing

/// Polls a condition until it holds, for at most `limit`; the last answer otherwise. Slower than the shared one: what
/// is polled here is often another thread's, which has to get there first.
func eventually(within limit: Duration = .seconds(20), _ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return await condition()
}

extension RedisConfiguration {
    static func socket(_ server: RedisProcess, user: String? = nil, password: String? = nil) -> RedisConfiguration {
        RedisConfiguration(
            endpoint: RedisEndpoint(
                target: .socket(path: server.socket),
                user: user,
                password: password.map { RedisPassword($0) }
            )
        )
    }

    static func port(_ port: UInt16) -> RedisConfiguration {
        RedisConfiguration(endpoint: RedisEndpoint(target: .server(RedisAddress(host: "127.0.0.1", port: port))))
    }
}

/// Runs `body` with a client and closes it whatever happens.
@discardableResult
func withClient<Result>(
    _ configuration: RedisConfiguration,
    observer: (any RedisObserver)? = nil,
    _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (RedisClient) async throws -> Result
) async throws -> Result {
    var configuration = configuration
    change(&configuration)
    let client = try RedisClient(configuration: configuration, observer: observer)
    do {
        let result = try await body(client)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

/// The error of a command that must fail.
func failure(_ client: RedisClient, _ command: RedisCommand, deadline: Duration? = nil) async -> RedisError? {
    do throws(RedisError) {
        let value = try await client.send(command, deadline: deadline)
        Issue.record("expected a failure, got \(value)")
        return nil
    } catch {
        return error
    }
}

/// The descriptors this process has open, by number.
func openDescriptors() -> Set<Int32> {
    guard let directory = opendir("/proc/self/fd") else { return [] }
    defer { closedir(directory) }
    let own = dirfd(directory)
    var found: Set<Int32> = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if let number = Int32(name), number != own { found.insert(number) }
    }
    return found
}

/// Remembers what a client reports.
final class RecordingObserver: RedisObserver {
    struct Record: Sendable {
        var outcomes: [RedisCommandKind: [RedisOutcome]] = [:]
        var retries: [RedisOutcome] = []
        var failedRetries = 0
        var reconnects: [Bool] = []
        var changes: [String] = []
    }

    private let record = Mutex(Record())

    var recorded: Record { record.withLock { $0 } }

    func commandEnded(_ kind: RedisCommandKind, outcome: RedisOutcome, after duration: Duration) {
        record.withLock { $0.outcomes[kind, default: []].append(outcome) }
    }

    func commandRetried(because outcome: RedisOutcome) {
        record.withLock { $0.retries.append(outcome) }
    }

    func retryFailed() {
        record.withLock { $0.failedRetries += 1 }
    }

    func reconnectEnded(succeeded: Bool) {
        record.withLock { $0.reconnects.append(succeeded) }
    }

    func connectionChanged(from old: RedisConnectionState, to new: RedisConnectionState) {
        record.withLock { $0.changes.append("\(old.rawValue)>\(new.rawValue)") }
    }
}

extension Result where Success == RedisValue, Failure == RedisError {
    var failure: RedisError? {
        if case .failure(let error) = self { error } else { nil }
    }
}

extension RedisError {
    var isReset: Bool { if case .reset = self { true } else { false } }
    var isTimedOut: Bool { if case .timedOut = self { true } else { false } }
    var isRefused: Bool { if case .refused = self { true } else { false } }
    var isAuth: Bool { if case .auth = self { true } else { false } }
    var isProtocol: Bool { if case .protocolError = self { true } else { false } }
    var isServer: Bool { if case .server = self { true } else { false } }
}

/// Whether a child process would get the descriptor; false if it was closed meanwhile.
func isInheritable(_ descriptor: Int32) -> Bool {
    let flags = fcntl(descriptor, F_GETFD)
    return flags >= 0 && flags & FD_CLOEXEC == 0
}
