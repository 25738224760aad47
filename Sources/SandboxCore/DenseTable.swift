/// How a ``DenseTable`` keeps a value: packed, with its key in it only once.
protocol DenseEntry {
    associatedtype Key: Hashable
    associatedtype Value

    init(_ key: Key, _ value: Value)
    var key: Key { get }
    var value: Value { get }
}

/// A dictionary for many large values that nobody has to wait for.
///
/// The standard one keeps every value in place in a table that is up to two thirds empty, moves all of them when it
/// grows, and never shrinks. Here values lie side by side, in as many shards as bound the work of one change; a place
/// of the hashed part costs four bytes. What is removed is given back.
struct DenseTable<Entry: DenseEntry> {
    private static var shardBits: Int { 6 }

    private var shards: [DenseShard<Entry>]
    private(set) var count = 0

    init() {
        shards = Array(repeating: DenseShard(), count: 1 << Self.shardBits)
    }

    var isEmpty: Bool { count == 0 }

    /// All keys with their values, in no order.
    var pairs: some Sequence<(key: Entry.Key, value: Entry.Value)> {
        shards.lazy.flatMap(\.entries.elements).map { (key: $0.key, value: $0.value) }
    }

    /// All values, in no order.
    var values: some Sequence<Entry.Value> {
        shards.lazy.flatMap(\.entries.elements).map(\.value)
    }

    subscript(key: Entry.Key) -> Entry.Value? {
        get {
            let hash = UInt(bitPattern: key.hashValue)
            let shard = Self.shard(of: hash)
            return shards[shard].position(of: key, hash).map { shards[shard].entries[$0].value }
        }
        set {
            guard let newValue else {
                removeValue(forKey: key)
                return
            }
            let hash = UInt(bitPattern: key.hashValue)
            if shards[Self.shard(of: hash)].put(Entry(key, newValue), hash) { count += 1 }
        }
    }

    @discardableResult
    mutating func removeValue(forKey key: Entry.Key) -> Entry.Value? {
        let hash = UInt(bitPattern: key.hashValue)
        let removed = shards[Self.shard(of: hash)].remove(key, hash)
        if removed != nil { count -= 1 }
        return removed?.value
    }

    private static func shard(of hash: UInt) -> Int { Int(hash >> (UInt.bitWidth - shardBits)) }
}

// MARK: Going through, a piece at a time

extension DenseTable {
    /// How far somebody has come who goes through the table.
    struct Cursor {
        fileprivate var shard = 0
        fileprivate var chunks = Int.max
    }

    /// The next few entries, for whoever lets go of the lock in between.
    ///
    /// Every entry that is there all the time is seen, perhaps twice. From the end to the beginning: what is moved to
    /// fill a gap comes from behind.
    /// - Returns: `nil` at the end.
    func nextPiece(_ cursor: inout Cursor) -> [Entry]? {
        while cursor.shard < shards.count {
            let entries = shards[cursor.shard].entries
            cursor.chunks = min(cursor.chunks, entries.chunkCount) - 1
            if cursor.chunks >= 0 { return entries.chunk(cursor.chunks) }
            cursor.shard += 1
            cursor.chunks = .max
        }
        return nil
    }
}

/// A part of a ``DenseTable``: the entries side by side, and open addressing with linear probing over their positions.
private struct DenseShard<Entry: DenseEntry> {
    var entries = ChunkedArray<Entry>()
    /// 0 for a free place; otherwise the position of an entry plus one, and above it eight bits of its key's hash.
    private var places: [UInt32] = []

    private static var positionBits: UInt32 { 24 }
    private static var positionMask: UInt32 { 1 << positionBits - 1 }

    func position(of key: Entry.Key, _ hash: UInt) -> Int? {
        place(of: key, hash).map { Self.position(places[$0]) }
    }

    /// - Returns: Whether the key is new.
    mutating func put(_ entry: Entry, _ hash: UInt) -> Bool {
        if let place = place(of: entry.key, hash) {
            entries[Self.position(places[place])] = entry
            return false
        }
        // At most three quarters are taken.
        if (entries.count + 1) * 4 > places.count * 3 { resize(to: max(4, places.count * 2)) }
        entries.append(entry)
        occupy(hash, position: entries.count - 1)
        return true
    }

    mutating func remove(_ key: Entry.Key, _ hash: UInt) -> Entry? {
        guard let place = place(of: key, hash) else { return nil }
        let position = Self.position(places[place])
        vacate(place)
        // The last entry moves to where the removed one was.
        let last = entries.count - 1
        if position < last {
            let moved = Self.hash(entries[last].key)
            var place = home(moved)
            while Self.position(places[place]) != last { place = next(place) }
            places[place] = Self.mark(moved, position)
        }
        let removed = entries.swapRemove(at: position)
        if entries.count == 0 {
            places = []
        } else if entries.count * 8 < places.count {
            resize(to: places.count / 2)
        }
        return removed
    }

    private static func hash(_ key: Entry.Key) -> UInt { UInt(bitPattern: key.hashValue) }
    private static func position(_ mark: UInt32) -> Int { Int(mark & positionMask) - 1 }

    /// Above the bits that choose a place, below those that choose the shard.
    private static func tag(_ hash: UInt) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 40) << positionBits }

    private static func mark(_ hash: UInt, _ position: Int) -> UInt32 {
        precondition(position < Int(positionMask), "a shard holds at most 2^24 entries")
        return tag(hash) | UInt32(position + 1)
    }

    private func home(_ hash: UInt) -> Int { Int(bitPattern: hash) & (places.count - 1) }
    private func next(_ place: Int) -> Int { (place + 1) & (places.count - 1) }

    private func place(of key: Entry.Key, _ hash: UInt) -> Int? {
        guard !places.isEmpty else { return nil }
        let tag = Self.tag(hash)
        var place = home(hash)
        while places[place] != 0 {
            let mark = places[place]
            if mark & ~Self.positionMask == tag, entries[Self.position(mark)].key == key { return place }
            place = next(place)
        }
        return nil
    }

    private mutating func occupy(_ hash: UInt, position: Int) {
        var place = home(hash)
        while places[place] != 0 { place = next(place) }
        places[place] = Self.mark(hash, position)
    }

    /// Frees a place, and moves those behind it up that would not be found across the gap.
    private mutating func vacate(_ place: Int) {
        var gap = place
        var candidate = next(gap)
        while places[candidate] != 0 {
            let home = home(Self.hash(entries[Self.position(places[candidate])].key))
            let mask = places.count - 1
            if (candidate - home) & mask >= (candidate - gap) & mask {
                places[gap] = places[candidate]
                gap = candidate
            }
            candidate = next(candidate)
        }
        places[gap] = 0
    }

    private mutating func resize(to size: Int) {
        places = Array(repeating: 0, count: size)
        for (position, entry) in entries.elements.enumerated() { occupy(Self.hash(entry.key), position: position) }
    }
}
