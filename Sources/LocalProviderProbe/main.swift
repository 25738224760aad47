// A process that owns local sandboxes, for the tests that kill it or run it as another user, and for measuring.
//
//   LocalProviderProbe hold N      makes N sandboxes with a detached sleeper each, writes "ready" and waits for ever
//   LocalProviderProbe check       makes one, runs a command in it, writes what that wrote
//   LocalProviderProbe churn N     makes, uses and ends N at once, writes what is left of them
//   LocalProviderProbe measure N   writes the median times of N rounds

import Glibc
import LocalProvider
import SandboxCore

struct SystemTime: TimeSource {
    private func read(_ clock: clockid_t) -> Duration {
        var now = timespec()
        clock_gettime(clock, &now)
        return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    }

    func now() -> MonotonicInstant { MonotonicInstant(sinceZero: read(CLOCK_MONOTONIC)) }
    func wallNow() -> WallTime { WallTime(sinceEpoch: read(CLOCK_REALTIME)) }
    func sleep(until deadline: MonotonicInstant) async { try? await Task.sleep(for: deadline - now()) }
}

struct SystemRandom: RandomSource {
    func next() -> UInt64 { UInt64.random(in: .min ... .max) }
}

struct TaskStarter: TaskSpawner {
    func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask {
        let task = Task { await operation() }
        return SpawnedTask { task.cancel() }
    }
}

func order(life: Duration) throws -> CreateRequest {
    let random = SystemRandom()
    let labels = SandboxLabels(
        key: try LeaseKey(user: "probe", project: "p"),
        token: CreationToken(from: random),
        environment: "probe",
        epoch: Epoch(1)
    )
    return CreateRequest(template: "base", metadata: [:], environment: [:], life: life, labels: labels)
}

func say(_ text: String) {
    print(text)
    fflush(nil)
}

var configuration = LocalProviderConfiguration()
// Marks this process's sandboxes in the host's list of processes.
configuration.hostName = "probe-\(getpid())"
let provider = LocalProvider(
    configuration: configuration,
    time: SystemTime(),
    random: SystemRandom(),
    spawner: TaskStarter()
)

func hold(_ count: Int) async throws {
    for _ in 0..<count {
        let sandbox = try await provider.create(try order(life: .seconds(600)), timeout: .seconds(10))
        let command = ["sh", "-c", "setsid sleep 7654321 >/dev/null 2>&1 & echo data > file"]
        _ = try await provider.exec(sandbox, ExecRequest(command: command, timeout: .seconds(10)))
    }
    say("ready")
    try await Task.sleep(for: .seconds(600))
}

func check() async throws {
    for diagnosis in LocalProvider.diagnose(LocalProviderConfiguration()) { say(diagnosis.description) }
    let sandbox = try await provider.create(try order(life: .seconds(60)), timeout: .seconds(10))
    let script = "id; cat /proc/1/comm; grep CapEff /proc/self/status; echo stays > note; echo again > /dev/stdout"
    let first = try await provider.exec(sandbox, ExecRequest(command: ["sh", "-c", script], timeout: .seconds(10)))
    say(String(decoding: first.standardOutput + first.standardError, as: UTF8.self))
    let second = try await provider.exec(sandbox, ExecRequest(command: ["cat", "note"], timeout: .seconds(10)))
    say(String(decoding: second.standardOutput, as: UTF8.self))
    say("kill: \(try await provider.kill(sandbox.id, timeout: .seconds(10)))")
    await provider.shutdown()
}

/// The entries of a directory under /proc; its own descriptor counts the same each time.
func entries(_ path: String) -> Int {
    guard let directory = opendir(path) else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
}

/// Whether this process has a child, running or zombie.
func hasChildren() -> Bool { waitpid(-1, nil, WNOHANG) != -1 }

func churn(_ count: Int) async throws {
    // A full round first: what the runtime opens once and keeps is no leak.
    _ = try await serve(count)
    let descriptors = entries("/proc/self/fd")
    let served = try await serve(count)
    let left = entries("/proc/self/fd") - descriptors
    let listed = try await provider.list(.environment("probe"), timeout: .seconds(5)).count
    say("served \(served), left: \(left) descriptors, \(hasChildren() ? 1 : 0) children, \(listed) sandboxes")
    await provider.shutdown()
}

/// Makes, uses and ends `count` sandboxes at once; returns how many did as they should.
func serve(_ count: Int) async throws -> Int {
    try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<count {
            group.addTask { [provider] in
                let sandbox = try await provider.create(try order(life: .seconds(60)), timeout: .seconds(30))
                let script = "sleep 7654322 > /dev/null 2>&1 & echo \(number) > n"
                let write = ExecRequest(command: ["sh", "-c", script], timeout: .seconds(30))
                _ = try await provider.exec(sandbox, write)
                let read = ExecRequest(command: ["cat", "n"], timeout: .seconds(30))
                let isOwn = try await provider.exec(sandbox, read).standardOutput == Array("\(number)\n".utf8)
                return try await provider.kill(sandbox.id, timeout: .seconds(30)) == .killed && isOwn
            }
        }
        return try await group.reduce(0) { $1 ? $0 + 1 : $0 }
    }
}

func measure(_ rounds: Int) async throws {
    let clock = ContinuousClock()
    var creates: [Duration] = []
    var execs: [Duration] = []
    var probes: [Duration] = []
    var kills: [Duration] = []
    let command = ExecRequest(command: ["/bin/true"], timeout: .seconds(10))
    for _ in 0..<rounds {
        let start = clock.now
        let sandbox = try await provider.create(try order(life: .seconds(60)), timeout: .seconds(10))
        _ = try await provider.exec(sandbox, command)
        creates.append(clock.now - start)
        for _ in 0..<10 {
            execs.append(try await clock.measure { _ = try await provider.exec(sandbox, command) })
            probes.append(await clock.measure { _ = await provider.health(sandbox, timeout: .seconds(1)) })
        }
        kills.append(try await clock.measure { _ = try await provider.kill(sandbox.id, timeout: .seconds(10)) })
    }
    for (name, times) in [("create+exec", creates), ("exec", execs), ("health", probes), ("kill", kills)] {
        let sorted = times.sorted()
        say("\(name): p50 \(sorted[sorted.count / 2]), p99 \(sorted[sorted.count * 99 / 100])")
    }
    await provider.shutdown()
}

let arguments = CommandLine.arguments.dropFirst()
let count = arguments.dropFirst().first.flatMap { Int($0) } ?? 1
do {
    switch arguments.first {
    case "hold": try await hold(count)
    case "check": try await check()
    case "churn": try await churn(count)
    case "measure": try await measure(count)
    default:
        say("usage: LocalProviderProbe hold N | check | churn N | measure N")
        exit(2)
    }
} catch {
    say("failed: \(error)")
    exit(1)
}
