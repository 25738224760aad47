/// Keys in the order of their canonical names, for listings: finding a place costs the same whoever else is listed.
struct SortedKeys {
    /// More than this and a block is cut in two.
    private static let blockSize = 128

    /// None is empty, and each begins after the one before ends.
    private var blocks: [[LeaseKey]] = []

    mutating func insert(_ key: LeaseKey) {
        guard !blocks.isEmpty else {
            blocks = [[key]]
            return
        }
        let block = min(firstBlock { !Self.precedes($0, key) }, blocks.count - 1)
        let index = Self.firstIndex(in: blocks[block]) { !Self.precedes($0, key) }
        if index < blocks[block].count, blocks[block][index] == key { return }
        blocks[block].insert(key, at: index)
        if blocks[block].count > Self.blockSize {
            let middle = Self.blockSize / 2
            blocks.insert(Array(blocks[block][middle...]), at: block + 1)
            blocks[block] = Array(blocks[block][..<middle])
        }
    }

    mutating func remove(_ key: LeaseKey) {
        let block = firstBlock { !Self.precedes($0, key) }
        guard block < blocks.count else { return }
        let index = Self.firstIndex(in: blocks[block]) { !Self.precedes($0, key) }
        guard index < blocks[block].count, blocks[block][index] == key else { return }
        blocks[block].remove(at: index)
        if blocks[block].isEmpty {
            blocks.remove(at: block)
            if blocks.isEmpty { blocks = [] }
            return
        }
        // With a neighbour it may fill half a block at most: so there are never many that are nearly empty.
        for left in [block, block - 1] where left >= 0 && left + 1 < blocks.count {
            guard blocks[left].count + blocks[left + 1].count <= Self.blockSize / 2 else { continue }
            blocks[left] += blocks.remove(at: left + 1)
        }
    }

    /// The keys whose canonical names come after `name`, in order.
    func keys(after name: String) -> some Sequence<LeaseKey> {
        let block = firstBlock { $0.canonical > name }
        let index = block < blocks.count ? Self.firstIndex(in: blocks[block]) { $0.canonical > name } : 0
        return blocks[block...].joined().dropFirst(index)
    }

    /// The first block whose last key fulfils the condition, which those after it do too; their number if none does.
    private func firstBlock(where isFar: (LeaseKey) -> Bool) -> Int {
        Self.firstIndex(in: blocks) { block in block.last.map(isFar) ?? false }
    }

    private static func firstIndex<Element>(in array: [Element], where isFar: (Element) -> Bool) -> Int {
        var (low, high) = (0, array.count)
        while low < high {
            let middle = (low + high) / 2
            if isFar(array[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Whether the canonical name of `left` comes first; without making the names, wherever that can be told.
    static func precedes(_ left: LeaseKey, _ right: LeaseKey) -> Bool {
        if left.user == right.user { return left.project < right.project }
        // One name goes on where the other has its colon.
        if left.user.hasPrefix(right.user) || right.user.hasPrefix(left.user) {
            return left.canonical < right.canonical
        }
        return left.user < right.user
    }
}
