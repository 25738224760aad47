import Glibc
import LocalProvider
import SandboxCore
import Synchronization
import Testing

/// Civil and monotonic time of the system, or a clock that stands until it is told otherwise.
final class TestTime: TimeSource {
    private struct State {
        var now: Duration = .seconds(1000)
        var sleepers: [Int: (until: Duration, continuation: CheckedContinuation<Void, Never>)] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())

    var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: state.withLock { $0.now }) }
    func wallNow() -> WallTime { WallTime(sinceEpoch: state.withLock { $0.now }) }

    func sleep(until deadline: MonotonicInstant) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    guard deadline.sinceZero > state.now, !Task.isCancelled else { return true }
                    state.sleepers[id] = (deadline.sinceZero, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now += duration
            let due = state.sleepers.filter { $0.value.until <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        due.forEach { $0.resume() }
    }
}

final class TestRandom: RandomSource {
    func next() -> UInt64 { UInt64.random(in: .min ... .max) }
}

struct TestSpawner: TaskSpawner {
    func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        let task = Task { await operation() }
        return SpawnedTask { task.cancel() }
    }
}

/// A provider with a clock of its own, shut down when the test ends.
struct Rig {
    let time = TestTime()
    let provider: LocalProvider
    /// Unlike any other rig's, so that its bubblewrap processes are told from those of tests that run beside this one.
    let hostName = "h\(UInt64.random(in: .min ... .max))"

    init(_ configuration: LocalProviderConfiguration = LocalProviderConfiguration()) {
        var configuration = configuration
        configuration.hostName = hostName
        provider = LocalProvider(
            configuration: configuration,
            time: time,
            random: TestRandom(),
            spawner: TestSpawner()
        )
    }

    /// Runs `body` and shuts the provider down whatever comes of it.
    static func run(
        _ configuration: LocalProviderConfiguration = LocalProviderConfiguration(),
        _ body: (Rig) async throws -> Void
    ) async throws {
        let rig = Rig(configuration)
        do {
            try await body(rig)
        } catch {
            await rig.provider.shutdown()
            throw error
        }
        await rig.provider.shutdown()
    }

    /// The host's processes of bubblewrap that belong to this rig; zombies do not count.
    var bubblewraps: [Int32] { processes(containing: hostName) }

    /// The process on the host that is process 1 of the rig's only sandbox.
    func supervisor() throws -> Int32 {
        let bubblewrap = try #require(bubblewraps.first)
        let text = readFile("/proc/\(bubblewrap)/task/\(bubblewrap)/children").split(separator: " ").first
        return try #require(Int32(text ?? ""))
    }

    func create(
        user: String = "u",
        environment: [String: Secret] = [:],
        metadata: [String: String] = [:],
        life: Duration = .seconds(300)
    ) async throws -> ProviderSandbox {
        let request = try order(user: user, environment: environment, metadata: metadata, life: life)
        return try await provider.create(request, timeout: .seconds(20))
    }

    func sh(
        _ sandbox: ProviderSandbox,
        _ script: String,
        input: String = "",
        timeout: Duration = .seconds(20),
        outputLimit: Int = 1 << 20
    ) async throws -> ExecResult {
        let request = ExecRequest(
            command: ["sh", "-c", script],
            standardInput: Array(input.utf8),
            timeout: timeout,
            outputLimit: outputLimit
        )
        return try await provider.exec(sandbox, request)
    }

    func order(
        user: String = "u",
        template: String = "base",
        environment: [String: Secret] = [:],
        metadata: [String: String] = [:],
        life: Duration = .seconds(300)
    ) throws -> CreateRequest {
        CreateRequest(
            template: template,
            metadata: metadata,
            environment: environment,
            life: life,
            labels: SandboxLabels(
                key: try LeaseKey(user: user, project: "p"),
                token: CreationToken(from: TestRandom()),
                environment: "test",
                epoch: Epoch(1)
            )
        )
    }
}

extension ExecResult {
    var out: String { String(decoding: standardOutput, as: UTF8.self) }
    var err: String { String(decoding: standardError, as: UTF8.self) }
}

/// Whether bubblewrap works here; asked once.
let bubblewrapWorks = LocalProvider.diagnose(LocalProviderConfiguration()).isEmpty

/// Polls until `condition` holds or 20 s are over.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(20)
    while clock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return false
}

/// Host processes whose command line contains `text`, by looking at /proc; zombies have none.
func processes(containing text: String) -> [Int32] {
    guard let directory = opendir("/proc") else { return [] }
    defer { closedir(directory) }
    var found: [Int32] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard let pid = Int32(name), pid != getpid() else { continue }
        if readFile("/proc/\(pid)/cmdline").contains(text) { found.append(pid) }
    }
    return found
}

func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = read(descriptor, &bytes, bytes.count)
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
}
