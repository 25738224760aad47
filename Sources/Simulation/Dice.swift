internal import SandboxCore
internal import StandIns

/// Random draws under a seed. Each part of a simulation has its own, so that switching a part off changes no draw of
/// the others.
///
/// Confined to the simulation's thread.
final class Dice: RandomSource, @unchecked Sendable {
    private var generator: SeededGenerator

    init(seed: UInt64, for purpose: String) {
        var mixed: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in purpose.utf8 { mixed = (mixed ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var mixer = SeededGenerator(seed: seed ^ mixed)
        generator = SeededGenerator(seed: mixer.next())
    }

    func next() -> UInt64 { generator.next() }

    /// A number in `0 ..< bound`.
    func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }

    func chance(_ probability: Double) -> Bool { nextFraction() < probability }

    /// Nanoseconds between two times.
    func time(_ least: Int64, _ most: Int64) -> Int64 { least + Int64(Double(most - least) * nextFraction()) }

    /// Nanoseconds with the short times more likely: each doubling of the least one is as likely as the next.
    func spread(_ least: Int64, _ most: Int64) -> Int64 {
        var doublings = 0
        while least << (doublings + 1) <= most { doublings += 1 }
        let low = least << below(doublings + 1)
        return time(low, min(most, low * 2))
    }

    func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }
}
