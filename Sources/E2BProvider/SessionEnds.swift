internal import SandboxCore
internal import Synchronization

/// Until when the plan lets each sandbox live, as far as it is known; never later than the truth.
///
/// A missing entry costs one GET, so the table may forget at any time; it holds at most `limit` entries.
final class SessionEnds: Sendable {
    private let limit: Int
    private let ends = Mutex<[SandboxID: MonotonicInstant]>([:])

    init(limit: Int = 10_000) { self.limit = limit }

    var count: Int { ends.withLock { $0.count } }

    subscript(id: SandboxID) -> MonotonicInstant? { ends.withLock { $0[id] } }

    func learn(_ id: SandboxID, _ end: MonotonicInstant, now: MonotonicInstant) {
        ends.withLock { ends in
            if ends[id] == nil, ends.count >= limit {
                ends = ends.filter { $0.value > now }
                if ends.count >= limit { ends.removeAll(keepingCapacity: true) }
            }
            ends[id] = end
        }
    }

    func forget(_ id: SandboxID) {
        ends.withLock { _ = $0.removeValue(forKey: id) }
    }
}
