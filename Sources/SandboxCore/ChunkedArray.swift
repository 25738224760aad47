/// An array in pieces: it grows without moving what is there, and gives memory back as it shrinks.
///
/// A plain array that grows copies everything while its owner's lock is held, and keeps its room when it empties.
struct ChunkedArray<Element> {
    /// How many elements a piece has; a power of two.
    static var chunkSize: Int { 64 }

    private var chunks: [[Element]] = []
    private(set) var count = 0

    /// In how many pieces it is.
    var chunkCount: Int { chunks.count }

    /// All elements, in order.
    var elements: FlattenSequence<[[Element]]> { chunks.joined() }

    /// A piece, which stays as it is while the array goes on: whoever changes it then pays for a copy of one piece.
    func chunk(_ number: Int) -> [Element] { chunks[number] }

    subscript(position: Int) -> Element {
        get { chunks[position / Self.chunkSize][position % Self.chunkSize] }
        set { chunks[position / Self.chunkSize][position % Self.chunkSize] = newValue }
    }

    /// Adds an element at the end.
    mutating func append(_ element: Element) {
        if count % Self.chunkSize == 0 { chunks.append([]) }
        chunks[chunks.count - 1].append(element)
        count += 1
    }

    /// Takes an element out; the last one gets its position.
    @discardableResult
    mutating func swapRemove(at position: Int) -> Element {
        let last = chunks[chunks.count - 1].removeLast()
        count -= 1
        if count % Self.chunkSize == 0 { chunks.removeLast() }
        if count == 0 { chunks = [] }
        guard position < count else { return last }
        let removed = self[position]
        self[position] = last
        return removed
    }
}
