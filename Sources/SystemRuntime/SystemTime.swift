internal import CShims
internal import Glibc
public import SandboxCore

/// The operating system's clocks.
public struct SystemTime: TimeSource {
    /// Needs nothing.
    public init() {}

    /// CLOCK_MONOTONIC: unmoved by clock steps, standing still in suspension.
    public func now() -> MonotonicInstant { MonotonicInstant(sinceZero: read(CLOCK_MONOTONIC)) }

    /// CLOCK_REALTIME.
    public func wallNow() -> WallTime { WallTime(sinceEpoch: read(CLOCK_REALTIME)) }

    /// Suspends the task; returns early when it is cancelled.
    public func sleep(until deadline: MonotonicInstant) async {
        guard deadline > now() else { return }
        await AlarmClock.shared.sleep(until: deadline)
    }

    /// Calls `action` on the alarm clock's thread.
    public func alarm(at deadline: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> SpawnedTask? {
        let id = AlarmClock.shared.call(at: deadline, action)
        return SpawnedTask { AlarmClock.shared.forget(id) }
    }

    private func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        // Both clocks always exist: the call cannot fail.
        clock_gettime(clock, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

/// The operating system's random numbers.
public struct SystemRandom: RandomSource {
    /// Needs nothing.
    public init() {}

    /// 64 bits from the kernel.
    public func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
