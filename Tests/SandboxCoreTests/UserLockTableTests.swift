import StandIns
import TestSupport
import Testing

@testable import SandboxCore

@Suite struct UserLockTableTests {
    @Test func `a shared caller of a free key is granted and starts a flight`() throws {
        var table = UserLockTable(waiterLimit: 10)
        #expect(table.enter(try key(), 1, .shared, now: .at(0)) == .granted)
        #expect(table.enter(try key(), 2, .shared, now: .at(1)) == .joined)
        let handover = table.finish(try key(), 1, now: .at(5))
        #expect(handover == .init(settled: [1, 2], granted: nil, removed: true, held: .seconds(5)))
        #expect(table.count == 0)
        #expect(table.waiterCount == 0)
    }

    @Test func `a shared caller behind an exclusive one waits in line, as do all later ones`() throws {
        var table = UserLockTable(waiterLimit: 10)
        #expect(table.enter(try key(), 1, .shared, now: .at(0)) == .granted)
        #expect(table.enter(try key(), 2, .exclusive, now: .at(0)) == .queued)
        #expect(table.enter(try key(), 3, .shared, now: .at(0)) == .queued)
        #expect(table.enter(try key(), 4, .shared, now: .at(0)) == .queued)
        #expect(table.enter(try key(), 5, .exclusive, now: .at(0)) == .queued)
        #expect(table.finish(try key(), 1, now: .at(1)).granted == 2)
        #expect(table.finish(try key(), 2, now: .at(2)).granted == 3)
        // 4 wanted the same as 3, right behind it.
        let handover = table.finish(try key(), 3, now: .at(3))
        #expect(handover.settled == [3, 4])
        #expect(handover.granted == 5)
        #expect(table.finish(try key(), 5, now: .at(4)).removed == true)
    }

    @Test func `exclusive callers are served first in, first out`() throws {
        var table = UserLockTable(waiterLimit: 10)
        _ = table.enter(try key(), 1, .exclusive, now: .at(0))
        for ticket: UInt64 in 2...5 { #expect(table.enter(try key(), ticket, .exclusive, now: .at(0)) == .queued) }
        for ticket: UInt64 in 1...4 {
            #expect(table.finish(try key(), ticket, now: .at(1)).granted == ticket + 1)
        }
    }

    @Test func `nobody joins a fenced flight`() throws {
        var table = UserLockTable(waiterLimit: 10)
        _ = table.enter(try key(), 1, .shared, now: .at(0))
        table.fence(try key())
        #expect(table.isFenced(try key(), 1))
        #expect(table.enter(try key(), 2, .shared, now: .at(0)) == .queued)
        let handover = table.finish(try key(), 1, now: .at(1))
        #expect(handover.settled == [1])
        #expect(handover.granted == 2)
        #expect(!table.isFenced(try key(), 2))
    }

    @Test func `I9 a full queue refuses, whichever key`() throws {
        var table = UserLockTable(waiterLimit: 2)
        _ = table.enter(try key(), 1, .shared, now: .at(0))
        #expect(table.enter(try key(), 2, .shared, now: .at(0)) == .joined)
        #expect(table.enter(try key(), 3, .exclusive, now: .at(0)) == .queued)
        #expect(table.enter(try key(), 4, .shared, now: .at(0)) == .refused)
        #expect(table.enter(try key("bob"), 5, .exclusive, now: .at(0)) == .granted)
        #expect(table.leave(try key(), 3) == true)
        #expect(table.enter(try key(), 6, .exclusive, now: .at(0)) == .queued)
    }

    @Test func `leaving twice, or after being served, is reported`() throws {
        var table = UserLockTable(waiterLimit: 2)
        _ = table.enter(try key(), 1, .shared, now: .at(0))
        _ = table.enter(try key(), 2, .shared, now: .at(0))
        #expect(table.leave(try key(), 2) == true)
        #expect(table.leave(try key(), 2) == false)
        _ = table.finish(try key(), 1, now: .at(0))
        #expect(table.leave(try key(), 1) == false)
    }

    @Test func `a starter that left waits for nothing but still holds the lock`() throws {
        var table = UserLockTable(waiterLimit: 1)
        _ = table.enter(try key(), 1, .shared, now: .at(0))
        #expect(table.leave(try key(), 1) == true)
        #expect(table.waiterCount == 0)
        #expect(table.isHeld(try key()))
        #expect(table.enter(try key(), 2, .shared, now: .at(0)) == .joined)
        #expect(table.finish(try key(), 1, now: .at(0)).settled == [2])
        #expect(table.waiterCount == 0)
    }

    @Test func `trying for a held lock leaves no trace`() throws {
        var table = UserLockTable(waiterLimit: 1)
        #expect(table.tryHold(try key(), 1, now: .at(0)) == true)
        #expect(table.tryHold(try key(), 2, now: .at(0)) == false)
        #expect(table.waiterCount == 0)
        #expect(table.finish(try key(), 1, now: .at(0)).removed == true)
    }

    @Test func `a hold says what for, for how long, and how many wait`() throws {
        var table = UserLockTable(waiterLimit: 10, forgetsToRemove: true)
        _ = table.enter(try key(), 1, .exclusive, for: .pause, now: .at(1))
        _ = table.enter(try key(), 2, .exclusive, for: .keepalive, now: .at(2))
        _ = table.enter(try key(), 3, .shared, now: .at(3))
        let first = table.hold(of: try key(), now: .at(5))
        #expect(first == UserLockHold(operation: .pause, age: .seconds(4), waiters: 2))
        _ = table.finish(try key(), 1, now: .at(6))
        #expect(table.hold(of: try key(), now: .at(6))?.operation == .keepalive)
        _ = table.finish(try key(), 2, now: .at(7))
        _ = table.enter(try key(), 4, .shared, now: .at(8))
        let flight = table.hold(of: try key(), now: .at(9))
        #expect(flight == UserLockHold(operation: .acquire, age: .seconds(2), waiters: 1))
        _ = table.finish(try key(), 3, now: .at(9))
        #expect(table.hold(of: try key(), now: .at(9)) == nil, "an idle entry is nobody's")
    }

    @Test func `the gauges know the oldest hold, wait and idle entry`() throws {
        var table = UserLockTable(waiterLimit: 10, forgetsToRemove: true)
        _ = table.enter(try key(), 1, .shared, now: .at(0))
        _ = table.enter(try key(), 2, .shared, now: .at(3))
        _ = table.enter(try key("bob"), 3, .exclusive, now: .at(1))
        _ = table.enter(try key("bob"), 4, .exclusive, now: .at(2))
        _ = table.enter(try key("carol"), 5, .exclusive, now: .at(2))
        #expect(table.finish(try key("carol"), 5, now: .at(4)).removed == false)
        let gauges = table.gauges(now: .at(10))
        #expect(gauges.held == 2)
        #expect(gauges.idle == 1)
        #expect(gauges.waiters == 2)
        #expect(gauges.oldestHold == .seconds(10))
        #expect(gauges.oldestWait == .seconds(8))
        #expect(gauges.oldestIdle == .seconds(6))
        // The leaked entry can be used again.
        #expect(table.enter(try key("carol"), 6, .exclusive, now: .at(11)) == .granted)
    }

    /// A queue of (ticket, mode) a key, the first of which holds; the plainest thing that could be right.
    private struct Model {
        struct Entry {
            var holder: (ticket: UInt64, isFlight: Bool, isFenced: Bool)
            var joiners: Set<UInt64>
            var queue: [(ticket: UInt64, mode: UserLockTable.Mode)]
        }
        var entries: [LeaseKey: Entry] = [:]

        var waiters: Int {
            entries.values.reduce(0) { sum, entry in
                sum + entry.queue.count + entry.joiners.count { $0 != entry.holder.ticket }
            }
        }
    }

    @Test(arguments: UInt64(0)..<200)
    func `I6 entries are exactly the keys with a holder or waiter, whatever happens`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var table = UserLockTable(waiterLimit: 12)
        var model = Model()
        let keys = try (0..<4).map { try key("u\($0)") }
        var ticket: UInt64 = 0
        for step in 0..<300 {
            let now = MonotonicInstant.at(Double(step))
            let chosen = keys[Int.random(in: 0..<keys.count, using: &random)]
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                ticket += 1
                let mode: UserLockTable.Mode = Bool.random(using: &random) ? .shared : .exclusive
                let admission = table.enter(chosen, ticket, mode, now: now)
                if var entry = model.entries[chosen] {
                    if model.waiters >= 12 {
                        #expect(admission == .refused)
                    } else if mode == .shared, entry.holder.isFlight, !entry.holder.isFenced, entry.queue.isEmpty {
                        #expect(admission == .joined)
                        entry.joiners.insert(ticket)
                    } else {
                        #expect(admission == .queued)
                        entry.queue.append((ticket, mode))
                    }
                    model.entries[chosen] = entry
                } else {
                    #expect(admission == .granted)
                    model.entries[chosen] = Model.Entry(
                        holder: (ticket, mode == .shared, false),
                        joiners: mode == .shared ? [ticket] : [],
                        queue: []
                    )
                }
            case 5..<8:
                guard var entry = model.entries[chosen] else { continue }
                let handover = table.finish(chosen, entry.holder.ticket, now: now)
                #expect(handover.settled == entry.joiners.sorted())
                if entry.queue.isEmpty {
                    #expect(handover.granted == nil && handover.removed)
                    model.entries[chosen] = nil
                } else {
                    let next = entry.queue.removeFirst()
                    #expect(handover.granted == next.ticket && !handover.removed)
                    entry.holder = (next.ticket, next.mode == .shared, false)
                    entry.joiners = next.mode == .shared ? [next.ticket] : []
                    while next.mode == .shared, entry.queue.first?.mode == .shared {
                        entry.joiners.insert(entry.queue.removeFirst().ticket)
                    }
                    model.entries[chosen] = entry
                }
            case 8:
                guard var entry = model.entries[chosen] else { continue }
                let waiting = entry.queue.map(\.ticket) + entry.joiners.sorted()
                guard let leaver = waiting.randomElement(using: &random) else { continue }
                #expect(table.leave(chosen, leaver) == true)
                entry.queue.removeAll { $0.ticket == leaver }
                entry.joiners.remove(leaver)
                model.entries[chosen] = entry
            default:
                table.fence(chosen)
                model.entries[chosen]?.holder.isFenced = true
            }
            #expect(table.count == model.entries.count, "seed \(seed), step \(step)")
            #expect(table.waiterCount == model.waiters, "seed \(seed), step \(step)")
            let gauges = table.gauges(now: now)
            #expect(gauges.held == model.entries.count && gauges.idle == 0)
        }
    }
}
