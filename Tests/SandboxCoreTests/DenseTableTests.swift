import StandIns
import TestSupport
import Testing

@testable import SandboxCore

/// Values of which many share a hash, and keys that lie in one shard: whatever can go wrong there does so here.
private struct Clashing: Hashable {
    var number: Int

    func hash(into hasher: inout Hasher) { hasher.combine(number % 7) }
}

private struct Pair<Key: Hashable>: DenseEntry {
    let key: Key
    let value: Int

    init(_ key: Key, _ value: Int) {
        self.key = key
        self.value = value
    }
}

@Suite struct DenseTableTests {
    /// The same changes to a table and to a dictionary, drawn from a seed; they must agree after each.
    private func compare<Key: Hashable>(steps: Int, keys: Int, _ key: (Int) -> Key) {
        var draw = SeededGenerator(seed: 7)
        var table = DenseTable<Pair<Key>>()
        var model: [Key: Int] = [:]
        for step in 0..<steps {
            let key = key(draw.next(below: keys))
            // Growing for a while, then shrinking, and so on.
            if draw.next(below: 10) < (step / 2000 % 2 == 0 ? 7 : 3) {
                table[key] = step
                model[key] = step
            } else if table.removeValue(forKey: key) != model.removeValue(forKey: key) {
                Issue.record("step \(step): something else was removed")
            }
            guard table[key] == model[key], table.count == model.count else {
                Issue.record("step \(step): \(table.count) and \(model.count) entries")
                return
            }
        }
        #expect(Dictionary(table.pairs.map { ($0.key, $0.value) }, uniquingKeysWith: +) == model)
        for key in model.keys { table[key] = nil }
        #expect(table.isEmpty)
        #expect(Array(table.values).isEmpty)
    }

    @Test func `a table says what a dictionary says, however it grows and shrinks`() {
        compare(steps: 20_000, keys: 3000) { $0 }
    }

    @Test func `keys whose hashes are the same do not hide each other`() {
        compare(steps: 6000, keys: 60) { Clashing(number: $0) }
    }

    @Test func `whoever goes through a table piece by piece sees all that stays, whatever is removed meanwhile`() {
        var draw = SeededGenerator(seed: 3)
        var table = DenseTable<Pair<Int>>()
        for key in 0..<20_000 { table[key] = key }
        let staying = Set((0..<20_000).filter { $0 % 3 != 0 })
        var leaving = (0..<20_000).filter { $0 % 3 == 0 }
        var seen: Set<Int> = []
        var cursor = DenseTable<Pair<Int>>.Cursor()
        while let piece = table.nextPiece(&cursor) {
            #expect(piece.count <= ChunkedArray<Int>.chunkSize)
            seen.formUnion(piece.map(\.key))
            for _ in 0..<20 where !leaving.isEmpty {
                table[leaving.swapRemove(draw.next(below: leaving.count))] = nil
            }
        }
        #expect(seen.isSuperset(of: staying))
    }

    @Test func `a piece that somebody looks at stays as it was`() {
        var table = DenseTable<Pair<Int>>()
        table[1] = 1
        var cursor = DenseTable<Pair<Int>>.Cursor()
        let piece = table.nextPiece(&cursor)
        table[1] = 2
        #expect(piece?.map(\.value) == [1])
        #expect(table[1] == 2)
    }
}

@Suite struct SortedKeysTests {
    /// Users of which one's name goes on where the other's ends, before and after the colon.
    private let users = ["a", "a+", "a-b", "a0", "a1", "aa", "b", "b.c", "B"]

    @Test func `keys come in the order of their canonical names, however they came and went`() throws {
        var draw = SeededGenerator(seed: 5)
        var keys = SortedKeys()
        var model: Set<LeaseKey> = []
        for step in 0..<8000 {
            let key = try LeaseKey(user: draw.pick(users), project: "p\(draw.next(below: 300))")
            if draw.next(below: 10) < (step / 2000 % 2 == 0 ? 8 : 2) {
                keys.insert(key)
                model.insert(key)
            } else {
                keys.remove(key)
                model.remove(key)
            }
            guard step % 500 == 499 else { continue }
            let names = model.map(\.canonical).sorted()
            #expect(keys.keys(after: "").map(\.canonical) == names)
            let name = "\(draw.pick(users)):p\(draw.next(below: 300))"
            #expect(keys.keys(after: name).map(\.canonical) == names.filter { $0 > name })
        }
        for key in model { keys.remove(key) }
        #expect(Array(keys.keys(after: "")).isEmpty)
    }
}

@Suite struct AlarmQueueTests {
    @Test func `alarms ring in the order of their times, and void ones are gone soon`() throws {
        var draw = SeededGenerator(seed: 11)
        var queue = AlarmQueue()
        var living: [LeaseKey: Epoch] = [:]
        for step in 0..<20_000 {
            let key = try LeaseKey(user: "u\(draw.next(below: 500))", project: "p")
            living[key] = Epoch(Int64(step))
            queue.insert(
                AlarmQueue.Alarm(at: .at(Double(draw.next(below: 1000))), key: key, epoch: Epoch(Int64(step)))
            )
            queue.sweep(looks: 2) { living[$0.key] != $0.epoch }
            guard queue.count <= 2 * living.count + 2 else {
                Issue.record("step \(step): \(queue.count) alarms")
                return
            }
        }
        // Ended one after the other, with no alarm set any more.
        for key in living.keys.sorted(by: { $0.canonical < $1.canonical }).dropLast(100) {
            living[key] = nil
            queue.sweep(looks: 4) { living[$0.key] != $0.epoch }
        }
        #expect(queue.count < 300, "of a thousand alarms and more")
        var last: MonotonicInstant?
        while let alarm = queue.first {
            #expect(last.map { $0 <= alarm.at } ?? true)
            last = alarm.at
            if living[alarm.key] == alarm.epoch { living[alarm.key] = nil }
            queue.removeFirst()
        }
        #expect(living.isEmpty, "none was lost")
    }
}

@Suite struct SlotHistogramTests {
    @Test func `the most slots of one user are known, whoever takes and frees them`() {
        var draw = SeededGenerator(seed: 13)
        var histogram = SlotHistogram()
        var model = Array(repeating: 0, count: 20)
        for step in 0..<5000 {
            let user = draw.next(below: model.count)
            let after = draw.next(below: 10) < (step / 500 % 2 == 0 ? 6 : 4) ? model[user] + 1 : max(0, model[user] - 1)
            guard after != model[user] else { continue }
            histogram.move(from: model[user], to: after)
            model[user] = after
            guard histogram.most == model.max() else {
                Issue.record("step \(step): \(histogram.most), not \(String(describing: model.max()))")
                return
            }
        }
    }
}

extension SeededGenerator {
    /// A number below `bound`.
    fileprivate mutating func next(below bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    fileprivate mutating func pick(_ words: [String]) -> String { words[next(below: words.count)] }
}

extension Array {
    /// Takes an element out; the last one gets its place.
    fileprivate mutating func swapRemove(_ index: Int) -> Element {
        swapAt(index, count - 1)
        return removeLast()
    }
}
