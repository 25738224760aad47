import Glibc

/// A wake-up for one waiting thread; a ring while nobody waits makes the next wait return at once.
///
/// Several rings may end one wait only, so a waiter looks for work in a loop.
public final class Doorbell: @unchecked Sendable {
    // `hasRung` is only touched under `lock`. The memory lives as long as this object, which every ringer and the
    // waiter keep alive.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var hasRung = false

    /// Makes a bell that has not rung.
    public init() {
        lock = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        defer { pthread_condattr_destroy(&attributes) }
        let result = pthread_mutex_init(lock, nil) | pthread_cond_init(condition, &attributes)
        precondition(result == 0, "Glibc's mutexes and conditions need no resources")
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(lock)
        condition.deallocate()
        lock.deallocate()
    }

    /// Ends the present or the next wait; never blocks for long.
    public func ring() {
        pthread_mutex_lock(lock)
        hasRung = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(lock)
    }

    /// Blocks the calling thread until a ring. Never call it on a thread of the cooperative pool.
    ///
    /// - Parameter limit: The longest wait; nil waits without a limit, zero or less not at all.
    /// - Returns: False if `limit` passed first.
    @discardableResult
    public func wait(atMost limit: Duration? = nil) -> Bool {
        let end = limit.map(Self.instant(after:))
        pthread_mutex_lock(lock)
        defer {
            hasRung = false
            pthread_mutex_unlock(lock)
        }
        while !hasRung {
            if var end {
                guard pthread_cond_timedwait(condition, lock, &end) != ETIMEDOUT else { return hasRung }
            } else {
                pthread_cond_wait(condition, lock)
            }
        }
        return true
    }

    private static func instant(after limit: Duration) -> timespec {
        var instant = timespec()
        clock_gettime(CLOCK_MONOTONIC, &instant)
        let (seconds, attoseconds) = max(limit, .zero).components
        let nanoseconds = instant.tv_nsec + Int(attoseconds / 1_000_000_000)
        instant.tv_sec += Int(min(seconds, 1_000_000_000)) + nanoseconds / 1_000_000_000
        instant.tv_nsec = nanoseconds % 1_000_000_000
        return instant
    }
}
