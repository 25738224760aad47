internal import SandboxCore

/// What happened, as lines: hashed, kept for a while, and printed where wanted.
///
/// Confined to the simulation's thread.
final class History: @unchecked Sendable {
    private let timeline: Timeline
    private let isTraced: Bool
    private let print: (String) -> Void
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var length = 0
    private var recent = Ring(limit: 40)
    private var ofKeys: [LeaseKey: Ring] = [:]

    private struct Ring {
        let limit: Int
        var lines: [String] = []
        var start = 0

        mutating func append(_ line: String) {
            if lines.count < limit {
                lines.append(line)
            } else {
                lines[start] = line
                start = (start + 1) % limit
            }
        }

        var inOrder: [String] { Array(lines[start...] + lines[..<start]) }
    }

    init(timeline: Timeline, isTraced: Bool, print: @escaping (String) -> Void) {
        self.timeline = timeline
        self.isTraced = isTraced
        self.print = print
    }

    /// One more line.
    func note(_ key: LeaseKey?, _ text: String) {
        let line = "\(timeline.now.asSeconds) \(text)"
        for byte in line.utf8 { mix(UInt64(byte)) }
        length += 1
        recent.append(line)
        if let key { ofKeys[key, default: Ring(limit: 40)].append(line) }
        if isTraced { print(line) }
    }

    /// A decision of the scheduler, which has no line.
    func mix(_ value: UInt64) { hash = (hash ^ value) &* 0x100_0000_01b3 }

    /// The last lines about a key, or about anything.
    func last(of key: LeaseKey?) -> [String] {
        guard let key else { return recent.inOrder }
        return ofKeys[key]?.inOrder ?? []
    }
}
