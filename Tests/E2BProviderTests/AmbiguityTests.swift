import FakeE2B
import SandboxCore
import Testing

/// Creates of unknown outcome, at random: whatever the cloud does, no sandbox stays that nobody leases.
@Suite(.timeLimit(.minutes(5)))
struct AmbiguityTests {
    /// A small generator, so that a seed tells the whole story.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private static func faults(_ generator: inout Seeded) -> [FakeFault] {
        let isLate = Int.random(in: 0..<4, using: &generator) == 0
        let late = FakeFault("create", .late, milliseconds: Int.random(in: 50...600, using: &generator))
        let after = Bool.random(using: &generator)
        let endings: [FakeFault] = [
            FakeFault("create", .hang, afterEffect: after),
            FakeFault("create", .drop, afterEffect: after),
            FakeFault("create", .half),
            FakeFault("create", .malformed),
            FakeFault("create", .status, afterEffect: after, status: 504),
            FakeFault("create", .status, afterEffect: after, status: 502, text: "Bad Gateway"),
            FakeFault("create", .status, afterEffect: after, status: 500),
            FakeFault("create", .latency, milliseconds: 700),
        ]
        let ending = endings[Int.random(in: 0..<endings.count, using: &generator)]
        return isLate ? [late, ending] : [ending]
    }

    @Test func `O1 O2 C28 S40 over 200 seeds, lost creates leave nothing that is not leased`() async throws {
        let seeds = Array(0..<200 as Range<UInt64>)
        let failed = await withTaskGroup(of: UInt64?.self) { group in
            var rest = seeds[...]
            for seed in rest.prefix(20) { group.addTask { await Self.settles(seed) ? nil : seed } }
            rest = rest.dropFirst(20)
            var failed: [UInt64] = []
            while let outcome = await group.next() {
                if let seed = outcome { failed.append(seed) }
                if let seed = rest.popFirst() { group.addTask { await Self.settles(seed) ? nil : seed } }
            }
            return failed
        }
        #expect(failed.isEmpty)
    }

    /// Plays one seed; whether in the end exactly the leased sandboxes exist.
    private static func settles(_ seed: UInt64) async -> Bool {
        var generator = Seeded(state: seed)
        guard let cloud = try? ManagedCloud(), let key = try? LeaseKey(user: "u\(seed)", project: "p") else {
            return false
        }
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            faults(&generator).forEach(cloud.fake.inject)
        }
        let isGranted = await cloud.refusal(key) == nil
        let isSettled = await eventually(within: .seconds(20)) { await cloud.isSettled() }
        let leased = await cloud.leased().count
        await cloud.stop()
        return isSettled && leased == (isGranted ? 1 : 0)
    }
}
