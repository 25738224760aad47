internal import DequeModule

/// How fast one user may create.
public struct CreationRate: Sendable, Hashable {
    /// Tokens that flow in each minute; 0 switches the limit off.
    public var perMinute: Int
    /// Tokens that may be saved up; 0 switches the limit off.
    public var burst: Int

    /// Names both.
    public init(perMinute: Int, burst: Int) {
        self.perMinute = perMinute
        self.burst = burst
    }

    /// No limit.
    public static let unlimited = CreationRate(perMinute: 0, burst: 0)

    /// Whether creations are limited at all.
    public var isEnabled: Bool { perMinute > 0 && burst > 0 }
}

/// A token bucket for each user who created lately.
///
/// A pure value. A bucket is one instant: when it will be full again. From that moment on it is the same as none, and
/// is removed; so the table holds only users of the last few minutes. Its bound drops the one that was touched longest
/// ago, whose user gets a full bucket: the bound protects memory, the limits protect the bill.
struct CreationRateLimiter {
    enum Decision: Equatable {
        case granted
        case denied(retryAfter: Duration)
    }

    private struct Bucket {
        var fullAt: MonotonicInstant
        var touched: MonotonicInstant
        var serial: UInt64
    }

    static let bucketLimit = 10_000

    private let rate: CreationRate
    private let limit: Int
    private var buckets: [String: Bucket] = [:]
    /// Users in the order of their last touch; an entry whose serial is not the bucket's any more is void.
    private var order: Deque<(user: String, serial: UInt64)> = []
    private var lastSerial: UInt64 = 0
    private var latest: MonotonicInstant?

    init(_ rate: CreationRate, limit: Int = bucketLimit) {
        self.rate = rate
        self.limit = limit
    }

    var count: Int { buckets.count }

    /// The time in which one token flows in.
    private var interval: Duration { .seconds(60) / rate.perMinute }

    /// How long a bucket can lie untouched: one that is empty is full after this.
    var longestIdle: Duration { rate.isEnabled ? interval * rate.burst : .zero }

    /// Takes a token of `user`.
    ///
    /// - Returns: The decision, and how many other buckets were dropped to make room.
    mutating func take(_ user: String, now: MonotonicInstant) -> (decision: Decision, evicted: Int) {
        guard rate.isEnabled else { return (.granted, 0) }
        let now = clamped(now)
        removeFull(now: now)
        let fullAt = max(now, buckets[user]?.fullAt ?? now)
        let excess = fullAt + interval - (now + longestIdle)
        // Nobody who is refused moves to the end of the line: asking often keeps no bucket alive.
        guard excess <= .zero else { return (.denied(retryAfter: excess), 0) }
        touch(user, fullAt: fullAt + interval, now: now)
        var evicted = 0
        while buckets.count > limit, let oldest = order.popFirst() {
            guard buckets[oldest.user]?.serial == oldest.serial else { continue }
            buckets[oldest.user] = nil
            evicted += 1
        }
        return (.granted, evicted)
    }

    /// How long `user` has to wait for a token; changes nothing.
    func wait(of user: String, now: MonotonicInstant) -> Duration {
        guard rate.isEnabled, let bucket = buckets[user] else { return .zero }
        return max(.zero, bucket.fullAt + interval - (max(now, latest ?? now) + longestIdle))
    }

    /// Puts a token back that was not used after all.
    mutating func giveBack(_ user: String, now: MonotonicInstant) {
        guard let bucket = buckets[user] else { return }
        let now = clamped(now)
        touch(user, fullAt: bucket.fullAt - interval, now: now)
        removeFull(now: now)
    }

    /// Removes buckets that are full, and says how long the stalest of the others was not touched.
    mutating func oldestIdle(now: MonotonicInstant) -> Duration {
        let now = clamped(now)
        removeFull(now: now)
        guard let oldest = order.first, let bucket = buckets[oldest.user] else { return .zero }
        return now - bucket.touched
    }

    private mutating func touch(_ user: String, fullAt: MonotonicInstant, now: MonotonicInstant) {
        lastSerial += 1
        buckets[user] = Bucket(fullAt: fullAt, touched: now, serial: lastSerial)
        order.append((user, lastSerial))
        guard order.count > 2 * buckets.count + 16 else { return }
        order.removeAll { buckets[$0.user]?.serial != $0.serial }
    }

    /// A full one behind one that is not waits for it, which takes ``longestIdle`` at most.
    private mutating func removeFull(now: MonotonicInstant) {
        while let oldest = order.first {
            if let bucket = buckets[oldest.user], bucket.serial == oldest.serial {
                guard bucket.fullAt <= now else { return }
                buckets[oldest.user] = nil
            }
            order.removeFirst()
        }
    }

    private mutating func clamped(_ now: MonotonicInstant) -> MonotonicInstant {
        let clamped = max(now, latest ?? now)
        latest = clamped
        return clamped
    }
}
