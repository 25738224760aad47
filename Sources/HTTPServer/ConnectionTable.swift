internal import Synchronization

internal import Glibc

/// One open connection: its socket and the deadline it lives under.
final class ConnectionRecord: Sendable {
    let socket: Int32
    /// The deadline in nanoseconds of the monotonic clock with its kind in the lowest two bits; 0 for none.
    private let deadline: Atomic<UInt64>
    /// Requests begun on this connection.
    let requests = Atomic<Int>(0)
    /// Whether the last request ended before all of it was read.
    let wasCutShort = Atomic<Bool>(false)

    init(socket: Int32, arrivalDeadline: UInt64) {
        self.socket = socket
        deadline = Atomic(Self.pack(arrivalDeadline, .arrival))
    }

    /// Replaces the deadline; nil while the request is the handler's business.
    func set(_ kind: ConnectionDeadline?, at nanoseconds: UInt64 = 0) {
        deadline.store(kind.map { Self.pack(nanoseconds, $0) } ?? 0, ordering: .relaxed)
    }

    /// Takes the deadline away if it has passed; at most one caller gets it.
    func takePassedDeadline(now: UInt64) -> ConnectionDeadline? {
        let seen = deadline.load(ordering: .relaxed)
        guard seen != 0, seen <= now else { return nil }
        // The exchange fails when the polling thread has just set another deadline: then the request made it in time.
        guard deadline.compareExchange(expected: seen, desired: 0, ordering: .relaxed).exchanged else { return nil }
        switch seen & 3 {
        case 1: return .arrival
        case 2: return .sending
        default: return .idle
        }
    }

    private static func pack(_ nanoseconds: UInt64, _ kind: ConnectionDeadline) -> UInt64 {
        let bits: UInt64 =
            switch kind {
            case .arrival: 1
            case .sending: 2
            case .idle: 3
            }
        return nanoseconds & ~3 | bits
    }
}

/// All open connections, so that their deadlines can be enforced.
///
/// A socket is in the table exactly as long as it is open: the library reports the end of a connection before it closes
/// the descriptor. Shutting sockets down happens under the lock, so it never hits a descriptor that was given to
/// somebody else in the meantime.
final class ConnectionTable: Sendable {
    private let records = Mutex<[ObjectIdentifier: ConnectionRecord]>([:])

    var count: Int { records.withLock { $0.count } }

    /// - Returns: Whether the table was empty before.
    func insert(_ record: ConnectionRecord) -> Bool {
        records.withLock { records in
            records[ObjectIdentifier(record)] = record
            return records.count == 1
        }
    }

    /// - Returns: How many are left.
    func remove(_ record: ConnectionRecord) -> Int {
        records.withLock { records in
            records[ObjectIdentifier(record)] = nil
            return records.count
        }
    }

    /// Shuts down every connection whose deadline has passed; the polling threads then see the end of the stream.
    func cutOverdue(now: UInt64) -> [ConnectionDeadline] {
        records.withLock { records in
            var cut: [ConnectionDeadline] = []
            for record in records.values {
                guard let kind = record.takePassedDeadline(now: now) else { continue }
                shutdown(record.socket, Int32(SHUT_RDWR))
                cut.append(kind)
            }
            return cut
        }
    }
}

/// Time for deadlines.
enum CoarseTime {
    /// Nanoseconds of the monotonic clock, a few milliseconds behind at most: a quarter of the price of the exact one.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, 0 for negative durations and capped at a century.
    var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard self > .zero else { return 0 }
        return UInt64(min(seconds, 3_155_760_000)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
