internal import Synchronization

/// Numbers in the order of their coming, and how many are inside right now.
public final class RecordedOrder: Sendable {
    private let state = Mutex((numbers: [Int](), inside: 0))

    /// Nothing yet.
    public init() {}

    /// Notes a number.
    public func append(_ number: Int) { state.withLock { $0.numbers.append(number) } }

    /// All numbers noted.
    public var all: [Int] { state.withLock { $0.numbers } }

    /// One more is inside.
    ///
    /// - Returns: How many are now.
    public func enter() -> Int {
        state.withLock { state in
            state.inside += 1
            return state.inside
        }
    }

    /// One less is inside.
    public func leave() { state.withLock { $0.inside -= 1 } }
}
