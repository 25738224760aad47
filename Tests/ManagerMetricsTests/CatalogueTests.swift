import ManagerMetrics
import PrometheusClient
import SandboxCore
import Synchronization
import TestSupport
import Testing

@Suite struct CatalogueTests {
    private let metrics: ManagerMetrics

    init() throws {
        metrics = try ManagerMetrics(
            build: BuildInformation(version: "1.2.3", revision: "abc", swiftVersion: "6.3"),
            startedAt: WallTime(sinceEpoch: .seconds(1_700_000_000))
        )
    }

    private func registered(_ name: String) throws -> MetricDescription {
        try #require(metrics.registry.metrics.first { $0.name == name }, "\(name)")
    }

    private func page(_ format: ExpositionFormat = .text) throws -> Exposition {
        Exposition.parse(String(decoding: try metrics.registry.render(format), as: UTF8.self))
    }

    @Test func `exactly the metrics of the catalogue are registered`() {
        let expected = (Catalogue.complete + Catalogue.partial).map(\.name)
        #expect(metrics.registry.metrics.map(\.name) == expected.sorted())
    }

    @Test(arguments: Catalogue.complete)
    func `a metric has its type, labels, values and buckets`(expected: ExpectedMetric) throws {
        let found = try registered(expected.name)
        #expect(found.type == expected.type)
        #expect(found.labelNames == expected.labels.map(\.name))
        #expect(Set(found.labelValues) == expected.rows)
        #expect(found.labelValues.count == expected.rows.count)
        #expect(found.bucketBounds == expected.bounds)
        #expect(!found.help.isEmpty && found.help.hasSuffix("."))
    }

    @Test(arguments: Catalogue.partial)
    func `a metric with few combinations has no value beside the list`(expected: ExpectedMetric) throws {
        let found = try registered(expected.name)
        #expect(found.type == expected.type)
        #expect(found.labelNames == expected.labels.map(\.name))
        #expect(Set(found.labelValues).isSubset(of: expected.rows))
        #expect(Set(found.labelValues).count == found.labelValues.count)
    }

    @Test func `requests are counted for the pairs of route and method that exist, and for all others together`() throws
    {
        let found = try registered("sandbox_manager_http_requests_total")
        let pairs = Catalogue.routes.flatMap { route, methods in methods.map { [route, $0] } }
        let rows = pairs.flatMap { pair in Catalogue.codes.map { pair + [$0] } }
        #expect(Set(found.labelValues) == Set(rows))
    }

    @Test(arguments: Catalogue.operations)
    func `every operation can succeed, fail by our fault, and fail with the store`(operation: String) throws {
        let found = try registered("sandbox_manager_operations_total").labelValues.filter { $0[0] == operation }
        let results = Set(found.map { $0[1] })
        #expect(results.isSuperset(of: ["ok", "internal", "store_unavailable"]))
        // What the server refuses by itself never becomes an operation.
        #expect(results.isDisjoint(with: ["unauthenticated", "route_not_found", "method_not_allowed"]))
        #expect(results.isDisjoint(with: ["payload_too_large", "unsupported_media_type", "header_too_large"]))
    }

    @Test func `there are fewer than 3000 series`() {
        #expect(metrics.registry.metrics.reduce(0) { $0 + $1.seriesCount } < 3000)
    }

    @Test func `the first page has every series and is well formed`() throws {
        for (format, checked) in [(ExpositionFormat.text, ExpositionChecker.Format.text), (.openMetrics, .openMetrics)]
        {
            let bytes = try metrics.registry.render(format)
            #expect(ExpositionChecker.problems(in: bytes, format: checked).isEmpty)
        }
        #expect(try page().samples.count == metrics.registry.metrics.reduce(0) { $0 + $1.seriesCount })
    }

    @Test func `everything is 0 at first but what is known`() throws {
        let exceptions = ["build_info", "loop_last_success_timestamp_seconds"].map { "sandbox_manager_" + $0 }
        for sample in try page().samples {
            let isKnown = exceptions.contains(sample.name) || sample.name == "process_start_time_seconds"
            #expect((sample.value != 0) == isKnown, "\(sample.name) \(sample.labels)")
        }
        #expect(try page().value(of: "process_start_time_seconds") == 1_700_000_000)
        let loop = ["loop": "reaper"]
        #expect(
            try page().value(of: "sandbox_manager_loop_last_success_timestamp_seconds", loop) == 1_700_000_000
        )
    }

    @Test func `gauges show what the parts say when the page is made`() throws {
        metrics.collect(
            manager: { Self.gauges },
            server: {
                var sample = ServerSample()
                (sample.requestsInFlight, sample.connections) = (3, 4)
                (sample.pending, sample.pendingLimit) = (5, 6)
                return sample
            },
            process: {
                var sample = ProcessSample()
                sample.cpuSeconds = 1.5
                (sample.residentBytes, sample.virtualBytes) = (10, 11)
                (sample.openFileDescriptors, sample.maximumFileDescriptors, sample.threads) = (12, 13, 14)
                (sample.heapInUseBytes, sample.heapHeldBytes) = (15, 16)
                return sample
            },
            activeFaults: [.reaperFailure]
        )
        let page = try page()
        let expected: [(String, [String: String], Double)] = [
            ("process_cpu_seconds_total", [:], 1.5), ("process_resident_memory_bytes", [:], 10),
            ("process_virtual_memory_bytes", [:], 11), ("process_open_fds", [:], 12), ("process_max_fds", [:], 13),
            ("process_threads", [:], 14), ("sandbox_manager_malloc_in_use_bytes", [:], 15),
            ("sandbox_manager_malloc_held_bytes", [:], 16), ("sandbox_manager_http_requests_in_flight", [:], 3),
            ("sandbox_manager_http_connections", [:], 4),
            ("sandbox_manager_collection_entries", ["collection": "http_exchanges"], 5),
            ("sandbox_manager_collection_limit_entries", ["collection": "http_exchanges"], 6),
            ("sandbox_manager_collection_entries", ["collection": "leases"], 7),
            ("sandbox_manager_collection_limit_entries", ["collection": "leases"], 8),
            ("sandbox_manager_collection_oldest_idle_seconds", ["collection": "leases"], 0.5),
            ("sandbox_manager_collection_idle_limit_seconds", ["collection": "leases"], 9),
            ("sandbox_manager_fault_injection_active", ["fault": "reaper-failure"], 1),
            ("sandbox_manager_fault_injection_active", ["fault": "user-lock-leak"], 0),
            ("sandbox_manager_user_locks", ["state": "held"], 21),
            ("sandbox_manager_user_locks", ["state": "idle"], 22),
            ("sandbox_manager_user_lock_waiters", [:], 23), ("sandbox_manager_user_lock_oldest_wait_seconds", [:], 24),
            ("sandbox_manager_user_lock_oldest_hold_seconds", [:], 25),
            ("sandbox_manager_user_lock_idle_oldest_age_seconds", [:], 26),
            ("sandbox_manager_leases", ["state": "creating"], 31), ("sandbox_manager_leases", ["state": "active"], 32),
            ("sandbox_manager_leases", ["state": "paused"], 33), ("sandbox_manager_leases", ["state": "releasing"], 34),
            ("sandbox_manager_slots_in_use", ["scope": "total"], 35), ("sandbox_manager_user_slots_max", [:], 36),
            ("sandbox_manager_slots_limit", ["scope": "user"], 2),
            ("sandbox_manager_slots_limit", ["scope": "total"], 100),
            ("sandbox_manager_kill_outbox_entries", [:], 37),
            ("sandbox_manager_kill_outbox_oldest_age_seconds", [:], 38), ("sandbox_manager_create_intents", [:], 39),
            ("sandbox_manager_create_intent_oldest_age_seconds", [:], 40),
            ("sandbox_manager_store_mode", ["mode": "degraded"], 1),
            ("sandbox_manager_store_mode", ["mode": "memory"], 0),
            ("sandbox_manager_loop_interval_seconds", ["loop": "reaper"], 30),
            ("sandbox_manager_ledger_sandboxes", ["account": "creating"], 41),
            ("sandbox_manager_ledger_sandboxes", ["account": "leased"], 42),
            ("sandbox_manager_ledger_sandboxes", ["account": "paused"], 43),
            ("sandbox_manager_ledger_sandboxes", ["account": "warm"], 44),
            ("sandbox_manager_ledger_sandboxes", ["account": "killing"], 37),
            ("sandbox_manager_provider_sandboxes", ["state": "running"], 45),
            ("sandbox_manager_provider_sandboxes", ["state": "paused"], 46),
            ("sandbox_manager_ledger_drift", ["kind": "untracked_at_provider"], 47),
            ("sandbox_manager_ledger_drift", ["kind": "missing_at_provider"], 48),
            ("sandbox_manager_ledger_drift", ["kind": "store_only"], 49),
            ("sandbox_manager_warm_pool_ready", [:], 50), ("sandbox_manager_warm_pool_target", [:], 51),
            ("sandbox_manager_warm_pool_pending", [:], 52),
        ]
        for (name, labels, value) in expected { #expect(page.value(of: name, labels) == value, "\(name) \(labels)") }
    }

    private static var gauges: ManagerGauges {
        var gauges = ManagerGauges(limits: SlotLimits(perUser: 2, total: 100), storeMode: .degraded)
        (gauges.userLocks.held, gauges.userLocks.idle, gauges.userLocks.waiters) = (21, 22, 23)
        gauges.userLocks.oldestWait = .seconds(24)
        gauges.userLocks.oldestHold = .seconds(25)
        gauges.userLocks.oldestIdle = .seconds(26)
        (gauges.leasesCreating, gauges.leasesActive) = (31, 32)
        (gauges.leasesPaused, gauges.leasesReleasing) = (33, 34)
        (gauges.usage.slots, gauges.usage.largestUser) = (35, 36)
        (gauges.usage.outbox, gauges.usage.oldestKill) = (37, .seconds(38))
        (gauges.usage.intents, gauges.usage.oldestIntent) = (39, .seconds(40))
        (gauges.usage.reservations, gauges.usage.active) = (41, 42)
        (gauges.usage.paused, gauges.usage.warm) = (43, 44)
        (gauges.provider.running, gauges.provider.paused) = (45, 46)
        (gauges.drift.untrackedAtProvider, gauges.drift.missingAtProvider, gauges.drift.storeOnly) = (47, 48, 49)
        (gauges.warmPool.ready, gauges.warmPool.target, gauges.warmPool.pending) = (50, 51, 52)
        gauges.loopIntervals = [.reaper: .seconds(30)]
        gauges.collections = [
            CollectionGauges(
                name: .leases,
                entries: 7,
                limit: 8,
                oldestIdle: .milliseconds(500),
                idleLimit: .seconds(9)
            )
        ]
        return gauges
    }

    @Test func `M5 a failed round does not count as a success`() throws {
        let loop = ["loop": "outbox"]
        let name = "sandbox_manager_loop_last_success_timestamp_seconds"
        metrics.loopRan(.outbox, .failed, took: .seconds(1), at: WallTime(sinceEpoch: .seconds(1_700_000_100)))
        #expect(try page().value(of: name, loop) == 1_700_000_000)
        metrics.loopRan(.outbox, .partial, took: .seconds(1), at: WallTime(sinceEpoch: .seconds(1_700_000_200)))
        #expect(try page().value(of: name, loop) == 1_700_000_200)
        #expect(try page().sum(of: "sandbox_manager_loop_runs_total", where: loop) == 2)
    }

    @Test(arguments: Operation.allCases)
    func `an operation is counted once, whatever it ends with`(operation: Operation) throws {
        for reason in [nil] + ErrorReason.allCases.map(Optional.some) {
            metrics.operationStarted(operation)
            metrics.operationEnded(operation, failure: reason, took: .milliseconds(1))
        }
        let count = Double(ErrorReason.allCases.count + 1)
        let labels = ["operation": operation.rawValue]
        #expect(try page().sum(of: "sandbox_manager_operations_total", where: labels) == count)
        #expect(try page().value(of: "sandbox_manager_operation_duration_seconds_count", labels) == count)
        #expect(try page().value(of: "sandbox_manager_operations_in_flight", labels) == 0)
        #expect(metrics.registry.rejectedUpdates == 0)
    }

    @Test func `an operation that outlives its caller stays in flight`() throws {
        let labels = ["operation": "acquire"]
        metrics.operationStarted(.acquire)
        metrics.operationOutlivedCaller(.acquire)
        metrics.operationEnded(.acquire, failure: .cancelled, took: .milliseconds(1))
        #expect(try page().value(of: "sandbox_manager_operations_in_flight", labels) == 1)
        metrics.outlivingOperationEnded(.acquire)
        #expect(try page().value(of: "sandbox_manager_operations_in_flight", labels) == 0)
    }

    @Test(arguments: RedisCommandLabel.allCases)
    func `a Redis command is counted once, whatever it ends with, and its time observed`(
        command: RedisCommandLabel
    ) throws {
        for result in RedisResultLabel.allCases {
            metrics.redisCommandEnded(command, result, took: .microseconds(300))
        }
        let page = try page()
        let labels = ["command": command.rawValue]
        for result in RedisResultLabel.allCases {
            let child = labels.merging(["result": result.rawValue]) { $1 }
            #expect(page.value(of: "sandbox_manager_redis_commands_total", child) == 1)
        }
        let duration = "sandbox_manager_redis_command_duration_seconds"
        #expect(page.value(of: "\(duration)_count", labels) == page.sum(of: "sandbox_manager_redis_commands_total"))
        #expect(page.value(of: "\(duration)_bucket", labels.merging(["le": "0.00025"]) { $1 }) == 0)
        #expect(page.value(of: "\(duration)_bucket", labels.merging(["le": "0.0005"]) { $1 }) == 10)
        #expect(metrics.registry.rejectedUpdates == 0)
    }

    @Test func `connections to Redis are counted in the state they are in, and not at all when closed`() throws {
        func connections() throws -> [Double?] {
            let page = try page()
            return ["connected", "connecting"].map {
                page.value(of: "sandbox_manager_redis_connections", ["state": $0])
            }
        }
        metrics.redisConnectionChanged(from: nil, to: .connecting)
        metrics.redisConnectionChanged(from: nil, to: .connecting)
        #expect(try connections() == [0, 2])
        metrics.redisConnectionChanged(from: .connecting, to: .connected)
        #expect(try connections() == [1, 1])
        metrics.redisConnectionChanged(from: .connected, to: .connecting)
        metrics.redisConnectionChanged(from: .connecting, to: .connected)
        #expect(try connections() == [1, 1])
        metrics.redisConnectionChanged(from: .connected, to: nil)
        metrics.redisConnectionChanged(from: .connecting, to: nil)
        #expect(try connections() == [0, 0])
    }

    @Test func `attempts to connect to Redis and retries of the store are counted`() throws {
        metrics.redisReconnected(succeeded: false)
        metrics.redisReconnected(succeeded: false)
        metrics.redisReconnected(succeeded: true)
        for reason in [RetryReason.timedOut, .refused, .reset, .loading] { metrics.retried(.store, because: reason) }
        metrics.retriesExhausted(.store)
        let page = try page()
        let reconnects = "sandbox_manager_redis_reconnects_total"
        #expect(page.value(of: reconnects, ["result": "failed"]) == 2)
        #expect(page.value(of: reconnects, ["result": "ok"]) == 1)
        for reason in ["timed_out", "refused", "reset", "loading"] {
            let labels = ["operation": "store", "reason": reason]
            #expect(page.value(of: "sandbox_manager_retries_total", labels) == 1)
        }
        #expect(page.sum(of: "sandbox_manager_retries_total") == 4)
        #expect(page.value(of: "sandbox_manager_retries_exhausted_total", ["operation": "store"]) == 1)
    }

    @Test func `orphans are counted by what was done, and claims of the warm pool by what it gave`() throws {
        for (count, action) in zip(1..., OrphanAction.allCases) {
            for _ in 0..<count { metrics.orphanFound(action) }
        }
        for (count, result) in zip(1..., WarmPoolClaim.allCases) {
            for _ in 0..<count { metrics.warmPoolClaimed(result) }
        }
        let page = try page()
        for (count, action) in zip(1..., ["adopted", "killed", "observed"]) {
            #expect(page.value(of: "sandbox_manager_orphans_total", ["action": action]) == Double(count))
        }
        for (count, result) in zip(1..., ["hit", "miss", "stale"]) {
            #expect(page.value(of: "sandbox_manager_warm_pool_claims_total", ["result": result]) == Double(count))
        }
        #expect(metrics.registry.rejectedUpdates == 0)
    }

    @Test func `exactly one store mode is 1, whatever it was before`() throws {
        let mode = Mutex(StoreMode.memory)
        metrics.collect(
            manager: {
                ManagerGauges(limits: SlotLimits(perUser: 2, total: 100), storeMode: mode.withLock { $0 })
            },
            server: { ServerSample() },
            process: { ProcessSample() },
            activeFaults: []
        )
        for now in [StoreMode.redis, .degraded, .redis, .memory, .degraded] {
            mode.withLock { $0 = now }
            let page = try page()
            #expect(page.value(of: "sandbox_manager_store_mode", ["mode": now.rawValue]) == 1)
            #expect(page.sum(of: "sandbox_manager_store_mode") == 1)
        }
    }

    @Test func `every request finds a child`() throws {
        let methods = ["PUT", "GET", "HEAD", "DELETE", "POST", "PATCH", "put", "other", "", "x"]
        for route in Route.allCases {
            for method in methods {
                for code in [100, 200, 201, 204, 400, 405, 415, 431, 499, 500, 501, 504, 599, 0, -1] {
                    metrics.answered(route, method: method, code: code, took: .microseconds(50))
                }
            }
        }
        let all = Double(Route.allCases.count * methods.count * 15)
        #expect(try page().sum(of: "sandbox_manager_http_requests_total") == all)
        #expect(metrics.registry.rejectedUpdates == 0)
        let page = try page()
        for (route, methods) in Catalogue.routes where route != "other" {
            for method in methods {
                let labels = ["route": route, "method": method, "code": "other"]
                #expect(page.value(of: "sandbox_manager_http_requests_total", labels) == 9)
            }
        }
    }
}
