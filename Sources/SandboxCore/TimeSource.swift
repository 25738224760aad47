/// A point on this process's monotonic clock. Means nothing to another process.
///
/// Counted in whole nanoseconds: every lease has several, and a `Duration` takes twice the room.
public struct MonotonicInstant: Hashable, Comparable, Sendable {
    private let nanoseconds: Int64

    /// A point `sinceZero` after the clock's zero; fractions of a nanosecond are cut off.
    public init(sinceZero: Duration) { nanoseconds = sinceZero.wholeNanoseconds }

    private init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The time since the clock's own zero.
    public var sinceZero: Duration { .nanoseconds(nanoseconds) }

    /// Orders by time.
    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    /// The point `duration` later; the end of time, three centuries away, if that is later still.
    public static func + (instant: Self, duration: Duration) -> Self {
        Self(nanoseconds: instant.nanoseconds.addingClamped(duration.wholeNanoseconds))
    }
    /// The point `duration` earlier.
    public static func - (instant: Self, duration: Duration) -> Self {
        Self(nanoseconds: instant.nanoseconds.addingClamped((.zero - duration).wholeNanoseconds))
    }
    /// The time from `right` to `left`.
    public static func - (left: Self, right: Self) -> Duration { left.sinceZero - right.sinceZero }
}

/// A point in civil time, shared with other processes: an expiry at a provider, a creation date.
///
/// Never used to decide idleness or age inside one process: a clock step would evict everyone or no one (T13).
/// Counted in whole microseconds, the unit that a shared store counts in: nanoseconds in as much room end in 2262.
public struct WallTime: Hashable, Comparable, Sendable {
    /// Whole microseconds since 1970 began.
    public let microseconds: Int64

    /// A point `sinceEpoch` after 1970 began; fractions of a microsecond are cut off.
    public init(sinceEpoch: Duration) { microseconds = sinceEpoch.wholeMicroseconds }

    private init(microseconds: Int64) { self.microseconds = microseconds }

    /// The time since 1970-01-01T00:00:00Z, without leap seconds.
    public var sinceEpoch: Duration { .microseconds(microseconds) }

    /// Orders by time.
    public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
    /// The point `duration` later; the end of time, far beyond all calendars, if that is later still.
    public static func + (time: Self, duration: Duration) -> Self {
        Self(microseconds: time.microseconds.addingClamped(duration.wholeMicroseconds))
    }
    /// The point `duration` earlier.
    public static func - (time: Self, duration: Duration) -> Self {
        Self(microseconds: time.microseconds.addingClamped((.zero - duration).wholeMicroseconds))
    }
    /// The time from `right` to `left`.
    public static func - (left: Self, right: Self) -> Duration { left.sinceEpoch - right.sinceEpoch }
}

extension Int64 {
    /// The sum, or the nearest number that there is.
    fileprivate func addingClamped(_ other: Int64) -> Int64 {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        return isTooLarge ? (other > 0 ? .max : .min) : sum
    }
}

/// Both clocks of a process, and the only way the core waits.
public protocol TimeSource: Sendable {
    /// The monotonic clock.
    func now() -> MonotonicInstant
    /// The civil clock.
    func wallNow() -> WallTime
    /// Waits until `deadline`; returns early, without an error, when the task is cancelled.
    func sleep(until deadline: MonotonicInstant) async
    /// Calls `action` at `deadline`, unless the handle is cancelled before; `nil` from a clock that only tasks wait for.
    ///
    /// `action` may be called on any thread, and must be quick.
    func alarm(at deadline: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> SpawnedTask?
}

extension TimeSource {
    /// `nil`: a task sleeps instead.
    public func alarm(at deadline: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> SpawnedTask? { nil }

    /// Waits for `duration`; returns early, without an error, when the task is cancelled.
    public func sleep(for duration: Duration) async {
        await sleep(until: now() + duration)
    }
}

/// Where random bits come from: seeded in simulations, the system's generator in production.
public protocol RandomSource: Sendable {
    /// The next 64 random bits.
    func next() -> UInt64
}

extension RandomSource {
    /// A number in `0 ..< 1`.
    public func nextFraction() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// How the core starts work that outlives its caller.
///
/// Production starts a task and counts it, so that shutdown can wait; a simulation puts the work on its own queue.
public protocol TaskSpawner: Sendable {
    /// Starts `operation`.
    ///
    /// - Parameters:
    ///   - name: What the work is, for whoever looks at a hung process.
    ///   - operation: The work; it must bound its own waits.
    /// - Returns: A handle that can cancel it.
    @discardableResult
    func spawn(_ name: String, _ operation: @escaping @Sendable () async -> Void) -> SpawnedTask
}

/// A handle on started work. Dropping it does not cancel the work.
public struct SpawnedTask: Sendable {
    private let onCancel: @Sendable () -> Void

    /// Wraps the spawner's way to cancel.
    public init(onCancel: @escaping @Sendable () -> Void) { self.onCancel = onCancel }

    /// Asks the work to stop; harmless once it ended.
    public func cancel() { onCancel() }
}

/// Everything of the outside world that the core would otherwise take for granted.
///
/// The executor comes with the spawner: detached work runs where the spawner puts it, everything else on its caller's.
public struct Runtime: Sendable {
    /// Both clocks.
    public let time: any TimeSource
    /// Random bits.
    public let random: any RandomSource
    /// How, and on which executor, detached work is started.
    public let spawner: any TaskSpawner

    /// Bundles the three.
    public init(time: any TimeSource, random: any RandomSource, spawner: any TaskSpawner) {
        self.time = time
        self.random = random
        self.spawner = spawner
    }
}

extension Duration {
    /// The duration in seconds, for configuration and metrics.
    public var inSeconds: Double {
        let parts = components
        return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    }

    /// The duration in whole nanoseconds, towards zero; the nearest number that there is, if it is longer than three
    /// centuries.
    var wholeNanoseconds: Int64 { whole(perSecond: 1_000_000_000) }

    /// The duration in whole microseconds, towards zero; the nearest number that there is, if it is longer than that.
    var wholeMicroseconds: Int64 { whole(perSecond: 1_000_000) }

    private func whole(perSecond: Int64) -> Int64 {
        let (seconds, attoseconds) = components
        let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: perSecond)
        let fraction = attoseconds / (1_000_000_000_000_000_000 / perSecond)
        return isTooLarge ? (seconds > 0 ? .max : .min) : whole.addingClamped(fraction)
    }

    /// The duration in whole seconds, rounded up; at least 1. What `Retry-After` carries.
    public var wholeSecondsUp: Int {
        let parts = components
        return max(1, Int(parts.seconds) + (parts.attoseconds > 0 ? 1 : 0))
    }
}
