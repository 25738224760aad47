/// Finds the name that somebody most likely meant.
enum Suggestion {
    /// `"; did you mean …?"`, or nothing if no candidate is close.
    static func phrase(for name: String, among candidates: [String]) -> String {
        closest(to: name, among: candidates).map { "; did you mean \($0)?" } ?? ""
    }

    /// The candidate closest to `name`: first the same letters with other separators or capitals, then the same last
    /// part elsewhere in the tree, then the only one that starts so (a forgotten unit), then the
    /// fewest typing errors, a third of the name's length at most.
    static func closest(to name: String, among candidates: [String]) -> String? {
        let letters = lettersOnly(name)
        guard !letters.isEmpty else { return nil }
        if let same = candidates.first(where: { lettersOnly($0) == letters }) { return same }
        if let moved = candidates.first(where: { lastPart($0) == letters }) { return moved }
        let continued = candidates.filter { letters.count >= 5 && lettersOnly($0).starts(with: letters) }
        if continued.count == 1 { return continued[0] }
        let limit = max(1, letters.count / 3)
        let ranked = candidates.map { ($0, typingErrors(from: letters, to: lettersOnly($0))) }
        guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= limit else { return nil }
        return best.0
    }

    private static func lettersOnly(_ name: String) -> [UInt8] {
        name.lowercased().utf8.filter { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
    }

    private static func lastPart(_ name: String) -> [UInt8] {
        name.lastIndex(of: ".").map { lettersOnly(String(name[$0...])) } ?? []
    }

    /// Insertions, removals, replacements and swaps of neighbours (optimal string alignment distance).
    static func typingErrors(from source: [UInt8], to target: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...target.count)
        for (i, byte) in source.enumerated() {
            var current = [i + 1]
            for (j, other) in target.enumerated() {
                var best = min(last[j + 1] + 1, current[j] + 1, last[j] + (byte == other ? 0 : 1))
                if i > 0, j > 0, byte == target[j - 1], source[i - 1] == other {
                    best = min(best, beforeLast[j - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[target.count]
    }
}
