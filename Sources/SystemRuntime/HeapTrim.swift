internal import CShims

/// When free memory of the heap should go back to the kernel, which malloc by itself does only at its end.
///
/// After a burst the memory of what was released lies between what is still in use, and would stay resident for ever.
/// Looked at now and then: once a good part of the most that was in use is free, it is time. A load that goes up and
/// down a little gives nothing back, so that it need not be asked for again.
public struct HeapTrim: Sendable {
    /// Less than this is not worth the while.
    public static let leastBytes = 16 << 20

    private var peak = 0

    /// Nothing seen yet.
    public init() {}

    /// Makes malloc keep one heap for all threads; to be called before there are any.
    ///
    /// By default every thread gets one of its own, up to eight for each processor, and each heap keeps what it needed in
    /// its busiest moment: the resident memory goes up and down by a tenth with what thread a request happens to run on.
    /// Small blocks do not contend for it, as each thread has a cache of them.
    public static func useOneHeap() { cshims_heap_limit_arenas(1) }

    /// Takes a reading of the live heap in.
    ///
    /// - Parameter inUse: Bytes in use.
    /// - Returns: Whether a quarter of the most since the last time is free now, and enough to matter.
    public mutating func isDue(inUse: Int) -> Bool {
        peak = max(peak, inUse)
        guard peak - inUse >= max(Self.leastBytes, peak / 4) else { return false }
        peak = inUse
        return true
    }

    /// Reads the live heap, and gives free memory back if that is due.
    public mutating func look() {
        if isDue(inUse: Int(cshims_heap().used)) { cshims_heap_trim() }
    }
}
