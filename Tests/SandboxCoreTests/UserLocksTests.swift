import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(1))) struct UserLocksTests {
    private let time = ManualTime()
    private let spawner = TestSpawner()
    private let observer = RecordingObserver()
    private let locks: UserLocks<Int>

    init() {
        let runtime = Runtime(time: time, random: SeededRandom(), spawner: spawner)
        locks = UserLocks(waiterLimit: 20_000, forgetsToRemove: false, runtime: runtime, observer: observer)
    }

    private func later(_ seconds: Int = 90) -> MonotonicInstant { time.now() + .seconds(seconds) }

    /// Enters in a task of its own; what it got comes back as words.
    private func entering(_ key: LeaseKey, _ mode: UserLockTable.Mode, until deadline: MonotonicInstant)
        -> Task<String, Never>
    {
        Task { [locks] in
            do throws(ManagerError) {
                switch try await locks.enter(key, mode, until: deadline) {
                case .granted(let ticket):
                    locks.finish(key, ticket, with: 7)
                    return "granted"
                case .shared(let outcome): return "shared \(outcome)"
                }
            } catch {
                return error.reason.rawValue
            }
        }
    }

    private func hold(_ key: LeaseKey, _ mode: UserLockTable.Mode = .exclusive) async throws -> UserLocks<Int>.Ticket {
        guard case .granted(let ticket) = try await locks.enter(key, mode, until: later()) else {
            throw ManagerError.internal("not granted")
        }
        return ticket
    }

    private func expectEmpty() async {
        #expect(await spawner.idle())
        #expect(locks.count == 0)
        #expect(locks.gauges().waiters == 0)
        #expect(observer.record.locksCreated == observer.record.locksRemoved)
        #expect(time.sleeperCount == 0)
    }

    @Test func `exclusive callers enter one after the other in the order of their coming`() async throws {
        let key = try key()
        let held = try await hold(key)
        let order = RecordedOrder()
        var tasks: [Task<Void, Never>] = []
        for number in 0..<20 {
            tasks.append(
                Task { [locks] in
                    guard case .granted(let ticket)? = try? await locks.enter(key, .exclusive, until: later()) else {
                        return
                    }
                    order.append(number)
                    locks.finish(key, ticket)
                }
            )
            #expect(await eventually { locks.gauges().waiters == number + 1 })
        }
        locks.finish(key, held)
        for task in tasks { await task.value }
        #expect(order.all == Array(0..<20))
        await expectEmpty()
    }

    @Test func `joiners of a flight get its outcome`() async throws {
        let key = try key()
        let held = try await hold(key, .shared)
        let joiners = (0..<50).map { _ in entering(key, .shared, until: later()) }
        #expect(await eventually { locks.gauges().waiters == 50 })
        locks.finish(key, held, with: 42)
        for joiner in joiners { #expect(await joiner.value == "shared 42") }
        #expect(try await locks.outcome(of: held, key, until: later()) == 42)
        await expectEmpty()
    }

    @Test func `a waiter that is let in keeps its time although its first wait is over`() async throws {
        let key = try key()
        let held = try await hold(key)
        let locks = locks
        let deadline = later()
        let waiter = Task { () -> UserLocks<Int>.Ticket? in
            guard case .granted(let ticket)? = try? await locks.enter(key, .shared, until: deadline) else { return nil }
            return ticket
        }
        #expect(await eventually { locks.gauges().waiters == 1 })
        locks.finish(key, held)
        let ticket = try #require(await waiter.value)
        // Whatever timed the wait for the lock must have ended without taking the starter's place.
        #expect(await spawner.idle())
        locks.finish(key, ticket, with: 9)
        #expect(try await locks.outcome(of: ticket, key, until: deadline) == 9)
        await expectEmpty()
    }

    @Test func `I9 every waiter gets an answer at its own deadline`() async throws {
        let key = try key()
        let held = try await hold(key)
        let early = entering(key, .exclusive, until: later(10))
        let late = entering(key, .shared, until: later(20))
        #expect(await eventually { locks.gauges().waiters == 2 })
        #expect(await time.sleepers(atLeast: 2))
        time.advance(by: .seconds(10))
        #expect(await early.value == "deadline_exceeded")
        #expect(locks.gauges().waiters == 1)
        time.advance(by: .seconds(10))
        #expect(await late.value == "deadline_exceeded")
        #expect(observer.record.lockTimeouts == 2)
        locks.finish(key, held)
        await expectEmpty()
    }

    @Test func `a caller whose deadline has passed does not wait, nor does one cancelled before`() async throws {
        let key = try key()
        let held = try await hold(key)
        #expect(await entering(key, .exclusive, until: later(0)).value == "deadline_exceeded")
        let cancelled = Task { [locks, time] in
            while !Task.isCancelled { await Task.yield() }
            do throws(ManagerError) {
                _ = try await locks.enter(key, .shared, until: time.now() + .seconds(9))
                return ErrorReason.internal
            } catch {
                return error.reason
            }
        }
        cancelled.cancel()
        #expect(await cancelled.value == .cancelled)
        locks.finish(key, held)
        await expectEmpty()
    }

    @Test func `I6 ten thousand waiters cancelled while they wait leave nothing`() async throws {
        let keys = try (0..<10).map { try key("u\($0)") }
        var held: [(LeaseKey, UserLocks<Int>.Ticket)] = []
        for key in keys { held.append((key, try await hold(key, .shared))) }
        let waiters = (0..<10_000).map { entering(keys[$0 % 10], $0 % 3 == 0 ? .exclusive : .shared, until: later()) }
        #expect(await eventually(within: .seconds(30)) { locks.gauges().waiters == 10_000 })
        for waiter in waiters { waiter.cancel() }
        for waiter in waiters { #expect(await waiter.value == "cancelled") }
        #expect(locks.gauges().waiters == 0)
        for (key, ticket) in held { locks.finish(key, ticket, with: 0) }
        for (key, ticket) in held { #expect(try await locks.outcome(of: ticket, key, until: later()) == 0) }
        await expectEmpty()
    }

    @Test func `L5 I6 under concurrency nobody shares an exclusive lock and nothing stays behind`() async throws {
        let keys = try (0..<4).map { try key("u\($0)") }
        let inside = (0..<4).map { _ in RecordedOrder() }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<2000 {
                group.addTask { [locks, time] in
                    let slot = number % 4
                    let deadline = time.now() + .seconds(9)
                    let mode: UserLockTable.Mode = number % 5 == 0 ? .shared : .exclusive
                    guard case .granted(let ticket)? = try? await locks.enter(keys[slot], mode, until: deadline) else {
                        return
                    }
                    #expect(inside[slot].enter() == 1)
                    await Task.yield()
                    let gauges = locks.gauges()
                    #expect(gauges.idle == 0 && gauges.held <= 4)
                    inside[slot].leave()
                    locks.finish(keys[slot], ticket, with: number)
                    if mode == .shared { _ = try? await locks.outcome(of: ticket, keys[slot], until: deadline) }
                }
            }
        }
        await expectEmpty()
    }
}

@Suite(.timeLimit(.minutes(1))) struct BoundedTests {
    private let time = ManualTime()
    private let spawner = TestSpawner()
    private var runtime: Runtime { Runtime(time: time, random: SeededRandom(), spawner: spawner) }

    @Test func `I9 work that ignores its cancellation delays nobody`() async {
        let never = OneShot<Int>()
        let runtime = runtime
        let asked = Task {
            await runtime.bounded("test", by: .seconds(5), fallback: { $0 ? -1 : -2 }) { await never.value() }
        }
        await time.sleepers(atLeast: 1)
        time.advance(by: .seconds(4.9))
        #expect(spawner.liveCount == 2)
        time.advance(by: .seconds(0.1))
        #expect(await asked.value == -2)
        never.settle(1)
        #expect(await spawner.idle())
    }

    @Test func `a cancelled caller gets its answer at once`() async {
        let never = OneShot<Int>()
        let runtime = runtime
        let asked = Task {
            await runtime.bounded("test", by: .seconds(5), fallback: { $0 ? -1 : -2 }) { await never.value() }
        }
        await time.sleepers(atLeast: 1)
        asked.cancel()
        #expect(await asked.value == -1)
        never.settle(1)
        #expect(await spawner.idle())
        #expect(time.sleeperCount == 0)
    }

    @Test func `work that ends in time is the answer, and the timer goes`() async {
        #expect(await runtime.bounded("test", by: .seconds(5), fallback: { _ in -1 }) { 7 } == 7)
        #expect(await spawner.idle())
        #expect(time.sleeperCount == 0)
    }

    @Test func `a one-shot is settled once`() async {
        let shot = OneShot<Int>()
        #expect(shot.settle(1))
        #expect(!shot.settle(2))
        #expect(await shot.value() == 1)
    }
}
