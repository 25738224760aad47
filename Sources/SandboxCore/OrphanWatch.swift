/// Sandboxes of ours that the provider runs and that are in no book, and for how long. A value: listings go in, what is
/// overdue comes out.
///
/// Nothing is killed for being unknown once: somebody else may be about to write it into the books.
struct OrphanWatch {
    private(set) var firstSeen: [SandboxID: MonotonicInstant] = [:]
    private var edition: BooksEdition?

    var count: Int { firstSeen.count }

    /// How long the oldest has been watched.
    func oldest(now: MonotonicInstant) -> Duration {
        firstSeen.values.min().map { now - $0 } ?? .zero
    }

    /// A comparison came to an end.
    ///
    /// - Parameters:
    ///   - strays: What it found in no book; all others are forgotten.
    ///   - books: Which books. In other ones than before the watch begins anew.
    ///   - now: When the provider was asked.
    /// - Returns: Those that were not watched before.
    mutating func see(_ strays: Set<SandboxID>, in books: BooksEdition, now: MonotonicInstant) -> Set<SandboxID> {
        let known = books == edition ? firstSeen : [:]
        edition = books
        firstSeen = Dictionary(uniqueKeysWithValues: strays.map { ($0, known[$0] ?? now) })
        return strays.subtracting(known.keys)
    }

    /// Those watched for longer than `grace`, the oldest first.
    func overdue(after grace: Duration, now: MonotonicInstant) -> [SandboxID] {
        firstSeen.filter { now - $0.value >= grace }.sorted { $0.value < $1.value }.map(\.key)
    }

    /// It is in the books now, or gone.
    mutating func forget(_ sandbox: SandboxID) { firstSeen[sandbox] = nil }
}
