public import SandboxCore
internal import Synchronization

/// Random bits that depend on a seed alone (SplitMix64).
public final class SeededRandom: RandomSource {
    private let generator: Mutex<SeededGenerator>

    /// Equal seeds give equal bits.
    public init(seed: UInt64 = 1) { generator = Mutex(SeededGenerator(seed: seed)) }

    /// The next 64 bits.
    public func next() -> UInt64 { generator.withLock { $0.next() } }
}

/// The same bits as a value, for the standard library's random functions.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Equal seeds give equal bits.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
