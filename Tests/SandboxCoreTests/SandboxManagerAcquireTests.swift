import SandboxCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SandboxManagerAcquireTests {
    @Test func `a first acquire creates, the next is served from memory`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        let second = try await world.manager.acquire(try key())
        #expect(first.source == .created && second.source == .memory)
        #expect(first.sandbox.id == second.sandbox.id && first.epoch == second.epoch)
        #expect(world.manager.acquireIfFresh(try key())?.sandbox.id == first.sandbox.id)
        #expect(world.manager.acquireIfFresh(try key("bob")) == nil)
        #expect(first.expiresAt - world.time.wallNow() == .seconds(800))
        #expect(world.observer.record.acquired == [.created: 1, .memory: 2])
        #expect(world.observer.record.healthSkipped == [.fresh: 2])
        await world.expectQuiet()
    }

    @Test func `I1 a thousand concurrent acquires of one key make one sandbox and a thousand answers`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let tasks = (0..<1000).map { _ in world.acquiring(key) }
        let held = try #require(await world.provider.nextHeld(.create))
        #expect(await world.waiters(999))
        held.resume()
        var sources: [AcquireSource: Int] = [:]
        var ids: Set<SandboxID> = []
        for task in tasks {
            let grant = try await task.value.get()
            sources[grant.source, default: 0] += 1
            ids.insert(grant.sandbox.id)
        }
        #expect(sources == [.created: 1, .memory: 999])
        #expect(ids.count == 1)
        #expect(world.provider.count(of: .create) == 1)
        #expect(world.observer.record.started[.acquire] == 1000)
        await world.expectQuiet()
    }

    @Test func `joiners share a failure`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let tasks = (0..<20).map { _ in world.acquiring(key) }
        let held = try #require(await world.provider.nextHeld(.create))
        #expect(await world.waiters(19))
        held.resume(.fail(Failures.http(400)))
        for task in tasks {
            let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
            #expect(error?.reason == .providerRejected)
        }
        #expect(world.store.usage() == StoreUsage())
        #expect(world.observer.record.failures[.acquire] == [.providerRejected: 20])
        await world.expectQuiet()
    }

    @Test func `L1 I2 twelve concurrent projects of one user get exactly as many sandboxes as the limit says`()
        async throws
    {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 5) }
        let tasks = try (0..<12).map { world.acquiring(try key("alice", "p\($0)")) }
        var granted = 0
        for task in tasks {
            switch await task.value {
            case .success: granted += 1
            case .failure(let error):
                // L8: a typed refusal that says which limit, how much is taken and when to come again.
                #expect(error == .limited(LimitDenial(scope: .user, limit: 2, inUse: 2, releasing: 0)))
                #expect(error.reason == .userLimit && error.retryAfter == .seconds(1))
            }
        }
        #expect(granted == 2)
        #expect(world.provider.peak(ofUser: "alice") == 2)
        #expect(world.observer.record.limitRejections == [.user: 10])
        #expect(try await world.manager.stats().totals.rejected == 10)
        await world.expectQuiet()
    }

    @Test func `I2 L8 the total limit binds across users`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 2, total: 5) }
        let tasks = try (0..<12).map { world.acquiring(try key("u\($0)")) }
        var denials = 0
        for task in tasks {
            guard case .failure(let error) = await task.value else { continue }
            denials += 1
            #expect(error == .limited(LimitDenial(scope: .total, limit: 5, inUse: 5, releasing: 0)))
        }
        #expect(denials == 7 && world.provider.peak == 5)
        await world.expectQuiet()
    }

    @Test func `L2 L3 a restarted manager and a second replica are bound by the same limits`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 1) }
        let first = try await world.manager.acquire(try key())
        let replica = world.replica { $0.limits = SlotLimits(perUser: 1, total: 1) }
        await #expect(throws: ManagerError.self) { try await replica.acquire(try key("bob")) }
        let again = try await replica.acquire(try key())
        #expect(again.source == .reconnected && again.sandbox.id == first.sandbox.id && again.epoch == first.epoch)
        #expect(world.provider.peak == 1)
    }

    @Test func `L6 I6 fifty thousand denied requests of one user leave nothing`() async throws {
        let world = World { $0.limits = SlotLimits(perUser: 1, total: 5) }
        _ = try await world.manager.acquire(try key("alice", "first"))
        let manager = world.manager
        let keys = try (0..<50_000).map { try key("alice", "p\($0)") }
        await withTaskGroup(of: Void.self) { group in
            for part in 0..<8 {
                group.addTask {
                    for key in keys[(part * 6250)..<((part + 1) * 6250)] {
                        let error = await #expect(throws: ManagerError.self) { try await manager.acquire(key) }
                        #expect(error?.reason == .userLimit)
                    }
                }
            }
        }
        #expect(world.store.usage().slots == 1)
        #expect(try await world.manager.release(try key("alice", "first")) == .released)
        #expect(world.store.usage() == StoreUsage())
        #expect(world.observer.record.locksCreated == 50_001)
        await world.expectQuiet()
    }

    @Test func `the leak of an earlier implementation shows as idle entries, and only behind its switch`() async throws
    {
        let world = World { $0.faults = [.userLockLeak] }
        for number in 0..<5 { _ = try await world.manager.acquire(try key("u\(number)")) }
        world.time.advance(by: .seconds(7))
        let gauges = world.manager.gauges()
        #expect(gauges.userLocks.idle == 5 && gauges.userLocks.held == 0)
        #expect(gauges.userLocks.oldestIdle == .seconds(7))
        #expect(world.observer.record.locksCreated == 5 && world.observer.record.locksRemoved == 0)
    }

    @Test func `a caller gets its answer at its own deadline, and the sandbox serves the next one`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let task = world.acquiring(key, within: .seconds(3))
        let held = try #require(await world.provider.nextHeld(.create))
        await world.time.sleeper(dueIn: .seconds(3) ... .seconds(3))
        world.time.advance(by: .seconds(3))
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .timedOut(operation: .request, after: .seconds(3)))
        #expect(world.observer.record.inFlight(.acquire) == 1, "the flight goes on and is accounted for")
        held.resume()
        #expect(await world.spawner.idle())
        #expect(try await world.manager.acquire(key).source == .memory)
        await world.expectQuiet()
    }

    @Test func `O2 a caller cancelled during the create loses nothing`() async throws {
        let world = World()
        world.provider.hold(.create)
        let key = try key()
        let task = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        task.cancel()
        let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
        #expect(error == .cancelled)
        #expect(world.observer.record.outlived == [.acquire: 1])
        held.resume()
        #expect(await world.spawner.idle())
        #expect(world.provider.live.count == 1 && world.store.usage().active == 1)
        #expect(try await world.manager.acquire(key).source == .memory)
        await world.expectQuiet()
    }

    @Test func `T6 behind a hung create waiters are bounded and each is answered by its deadline`() async throws {
        let world = World {
            $0.faults = [.providerCreateHang]
            $0.maxWaiters = 10
        }
        let key = try key()
        let starter = world.acquiring(key, within: .seconds(20))
        #expect(await eventually { world.manager.gauges().userLocks.held == 1 })
        let waiters = (0..<10).map { _ in world.acquiring(key, within: .seconds(20)) }
        #expect(await world.waiters(10))
        let refused = await #expect(throws: ManagerError.self) { try await world.manager.acquire(key) }
        #expect(refused == .overloaded)
        #expect(await eventually { world.time.pendingDelays.count { $0 == .seconds(20) } == 11 })
        world.time.advance(by: .seconds(20))
        for task in waiters + [starter] {
            let error = await #expect(throws: ManagerError.self) { try await task.value.get() }
            #expect(error?.reason == .deadlineExceeded)
        }
        #expect(world.observer.record.lockTimeouts == 10)
        #expect(world.manager.gauges().userLocks.oldestHold == .seconds(20))
        // The flight itself ends as well.
        #expect(await world.passing(.seconds(5)) { world.spawner.liveCount(named: "acquire") == 0 })
        #expect(world.manager.gauges().userLocks.held == 0)
    }

    @Test func `T13 steps of the wall clock change nothing`() async throws {
        let world = World()
        let first = try await world.manager.acquire(try key())
        for step in [86_400, -172_800, 86_400] {
            world.time.stepWall(by: .seconds(step))
            world.time.advance(by: .seconds(1))
            #expect(await world.manager.round(.reaper) == .ok)
            let next = try await world.manager.acquire(try key())
            #expect(next.source == .memory && next.sandbox.id == first.sandbox.id)
            #expect(next.expiresAt == first.expiresAt)
        }
        #expect(world.provider.count(of: .kill) == 0)
        let other = try await world.manager.acquire(try key("bob"))
        #expect(other.epoch > first.epoch)
        await world.expectQuiet()
    }

    @Test func `I5 a stored sandbox that carries another owner's labels is handed to nobody`() async throws {
        let world = World()
        let alice = try await world.manager.acquire(try key("alice"))
        // The store's record of bob is made to point at alice's sandbox.
        let token = CreationToken("0123")
        let request = ReservationRequest(
            key: try key("bob"),
            owner: "x",
            token: token,
            limits: SlotLimits(perUser: 9, total: 9),
            intentDeadline: .seconds(9)
        )
        guard case .reserved(let epoch) = try await world.store.reserve(request) else { return }
        let record = LeaseRecord(
            key: try key("bob"),
            epoch: epoch,
            token: token,
            sandbox: alice.sandbox,
            createdAt: alice.createdAt,
            age: .zero,
            idle: .zero,
            idleTimeout: .seconds(500)
        )
        #expect(try await world.store.commit(record) == record.epoch)
        let bob = try await world.manager.acquire(try key("bob"))
        #expect(bob.sandbox.id != alice.sandbox.id && bob.source == .created)
        #expect(world.observer.record.ownershipMismatches == 1)
        #expect(world.provider.live[alice.sandbox.id] != nil)
    }

    @Test func `L4 two replicas give one key the same sandbox`() async throws {
        let world = World()
        world.provider.hold(.create)
        let replica = world.replica()
        let key = try key()
        let first = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let second = world.start { () async throws(ManagerError) in try await replica.acquire(key) }
        await world.time.sleeper(dueIn: .milliseconds(20) ... .milliseconds(20))
        held.resume()
        let mine = try await first.value.get()
        #expect(await world.passing(.milliseconds(250), atMost: 4) { second.isDone })
        let other = try await second.value.get()
        #expect(other.source == .reconnected && other.sandbox.id == mine.sandbox.id)
        #expect(world.provider.count(of: .create) == 1)
    }

    @Test func `another replica's creation that does not end is reported as in progress`() async throws {
        let world = World { $0.requestDeadline = .seconds(5) }
        world.provider.hold(.create)
        let replica = world.replica { $0.requestDeadline = .seconds(3) }
        let key = try key()
        let first = world.acquiring(key)
        let held = try #require(await world.provider.nextHeld(.create))
        let second = world.start { () async throws(ManagerError) in
            try await replica.acquire(key, within: .seconds(60))
        }
        #expect(await world.passing(.milliseconds(250), atMost: 16) { second.isDone })
        let error = await #expect(throws: ManagerError.self) { try await second.value.get() }
        #expect(error?.reason == .creationInProgress)
        held.resume()
        _ = await first.value
    }

    @Test func `a store that cannot be asked is a typed failure, and leaves no lock`() async throws {
        let world = World(gated: true)
        let store = try #require(world.gate)
        for gate: GatedStore.Gate in [.lookup, .reserve] {
            store.fail(gate, StoreError("down"))
            let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key()) }
            #expect(error == .storeUnavailable("down"))
            store.fail(gate, nil)
        }
        #expect(world.provider.calls.isEmpty)
        await world.expectQuiet()
    }
}
