internal import CHiredis
import Glibc

/// Interrupts a `poll` of one thread, from any other.
final class WakeUp: Sendable {
    let descriptor: Int32

    /// - Returns: nil without descriptors.
    init?() {
        descriptor = chiredis_eventfd()
        guard descriptor >= 0 else { return nil }
    }

    deinit {
        close(descriptor)
    }

    /// Ends the present or the next wait.
    func ring() {
        var one: UInt64 = 1
        // Fails only if the counter is full, and then the wait ends anyway.
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Makes the next wait block again.
    func clear() {
        var count: UInt64 = 0
        // Fails only if nobody has rung, which is as good.
        _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
    }
}
