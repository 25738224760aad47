import RedisClient

// redis-client-benchmark PORT throughput|latency SHARE: one line of numbers for rows/redis_client.py, which repeats and
// compares.
//
// throughput: GETs a second of 64 tasks that share one client. latency: p50 and p99 of one caller, in microseconds.
// SHARE: how much of the usual number of GETs is made, up to 1.

struct Usage: Error, CustomStringConvertible {
    var description: String { "usage: redis-client-benchmark PORT throughput|latency SHARE" }
}

let arguments = CommandLine.arguments
guard arguments.count == 4, let port = UInt16(arguments[1]), let share = Double(arguments[3]), (0...1).contains(share)
else { throw Usage() }
let address = RedisAddress(host: "127.0.0.1", port: port)
let client = try RedisClient(configuration: RedisConfiguration(endpoint: RedisEndpoint(target: .server(address))))
// As long as redis-benchmark's own.
_ = try await client.send(.set("k", to: Array("xxx".utf8)))

func scaled(_ count: Int) -> Int { max(1, Int(Double(count) * share)) }

/// Every reply is looked at: a benchmark of wrong answers is worth nothing.
@concurrent func get(_ count: Int) async throws {
    for _ in 0..<count {
        guard try await client.send(.get("k")).bytes?.count == 3 else { throw RedisError.reset(wasSent: true) }
    }
}

func throughput(tasks: Int, each: Int) async throws -> Double {
    let startedAt = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<tasks { group.addTask { try await get(each) } }
        try await group.waitForAll()
    }
    return Double(tasks * each) / (startedAt.duration(to: .now) / .seconds(1))
}

@concurrent func latencies(_ count: Int) async throws -> [Duration] {
    var times: [Duration] = []
    times.reserveCapacity(count)
    for _ in 0..<count {
        let startedAt = ContinuousClock.now
        _ = try await client.send(.get("k"))
        times.append(startedAt.duration(to: .now))
    }
    return times.sorted()
}

switch arguments[2] {
case "throughput":
    _ = try await throughput(tasks: 64, each: scaled(500))
    print(Int(try await throughput(tasks: 64, each: scaled(6000))))
case "latency":
    _ = try await latencies(scaled(2000))
    let times = try await latencies(scaled(30_000))
    print(times[times.count / 2] / .microseconds(1), times[times.count * 99 / 100] / .microseconds(1))
default: throw Usage()
}
await client.close()
