import Testing

@testable import CurlTransport

@Suite struct AdmissionQueueTests {
    private func queue(perOrigin: Int = 2, total: Int = 3) -> AdmissionQueue {
        AdmissionQueue(limits: .init(connectionsPerOrigin: perOrigin, connections: total, streamsPerConnection: 10))
    }

    private func drain(_ queue: inout AdmissionQueue) -> [UInt64] {
        var started: [UInt64] = []
        while let id = queue.next() { started.append(id) }
        return started
    }

    @Test func `an origin starts at most its limit, in order`() {
        var queue = queue()
        for id in 1...4 { queue.enqueue(UInt64(id), origin: "a") }
        #expect(drain(&queue) == [1, 2])
        queue.finish(origin: "a", multiplexes: false)
        #expect(drain(&queue) == [3])
        #expect(queue.waitingCount == 1)
    }

    @Test func `all origins together start at most the total, taking turns`() {
        var queue = queue(perOrigin: 3, total: 4)
        for id in 1...3 { queue.enqueue(UInt64(id), origin: "a") }
        for id in 11...13 { queue.enqueue(UInt64(id), origin: "b") }
        #expect(drain(&queue) == [1, 11, 2, 12])
        queue.finish(origin: "b", multiplexes: nil)
        #expect(drain(&queue) == [3])
    }

    @Test func `a full origin does not hold up the one behind it`() {
        var queue = queue(perOrigin: 1, total: 10)
        for id in 1...5 { queue.enqueue(UInt64(id), origin: "hangs") }
        queue.enqueue(9, origin: "other")
        #expect(drain(&queue) == [1, 9])
    }

    @Test func `an origin known to multiplex starts as many as its connections carry`() {
        var queue = queue()
        for id in 1...50 { queue.enqueue(UInt64(id), origin: "a") }
        #expect(drain(&queue).count == 2)
        queue.finish(origin: "a", multiplexes: true)
        #expect(drain(&queue).count == 19)
        queue.enqueue(60, origin: "b")
        #expect(drain(&queue) == [60])
    }

    @Test func `what is given up while waiting never starts`() {
        var queue = queue(perOrigin: 1)
        for id in 1...3 { queue.enqueue(UInt64(id), origin: "a") }
        #expect(drain(&queue) == [1])
        queue.remove(2, origin: "a")
        queue.remove(2, origin: "a")
        queue.finish(origin: "a", multiplexes: nil)
        #expect(drain(&queue) == [3])
        #expect(queue.waitingCount == 0)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `random traffic keeps the limits, loses nobody and forgets idle origins`(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var queue = queue(perOrigin: 3, total: 7)
        var waiting: [UInt64: String] = [:]
        var active: [UInt64: String] = [:]
        for id in 1...500 as ClosedRange<UInt64> {
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let origin = "o\(Int.random(in: 0..<5, using: &random))"
                queue.enqueue(id, origin: origin)
                waiting[id] = origin
            case 2:
                guard let (id, origin) = active.sorted(by: { $0.key < $1.key }).randomElement(using: &random) else {
                    continue
                }
                queue.finish(origin: origin, multiplexes: false)
                active[id] = nil
            default:
                guard let (id, origin) = waiting.sorted(by: { $0.key < $1.key }).randomElement(using: &random) else {
                    continue
                }
                queue.remove(id, origin: origin)
                waiting[id] = nil
            }
            for id in drain(&queue) { active[id] = waiting.removeValue(forKey: id) }
            #expect(active.count <= 7)
            #expect(Dictionary(grouping: active.values, by: { $0 }).values.allSatisfy { $0.count <= 3 })
            #expect(queue.waitingCount == waiting.count)
            // Whoever waits does so for a reason.
            let isIdle = active.count < 7
            for origin in Set(waiting.values) where isIdle {
                #expect(active.values.filter { $0 == origin }.count == 3)
            }
            #expect(queue.originCount == Set(active.values).union(waiting.values).count)
        }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
