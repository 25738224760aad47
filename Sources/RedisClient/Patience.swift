import Glibc

/// How long a blocking wait on a thread of our own may take, and what may cut it short.
struct Patience {
    var end: ContinuousClock.Instant
    /// A descriptor that becomes readable when nobody wants the result any more.
    var interruption: Int32?

    /// A wait that ends at the same time or earlier.
    func atMost(_ limit: Duration) -> Patience {
        Patience(end: min(end, .now + limit), interruption: interruption)
    }

    enum Outcome {
        case ready
        case late
        case interrupted
    }

    /// Blocks until the descriptor is ready for `events` or has failed.
    func wait(for events: Int32, on descriptor: Int32) -> Outcome {
        var entries = [pollfd(fd: descriptor, events: Int16(events), revents: 0)]
        if let interruption { entries.append(pollfd(fd: interruption, events: Int16(POLLIN), revents: 0)) }
        while true {
            let remaining = milliseconds(until: end)
            let count = poll(&entries, nfds_t(entries.count), remaining)
            if entries.count > 1, entries[1].revents != 0 { return .interrupted }
            if entries[0].revents != 0 { return .ready }
            if count == 0, remaining == 0 || .now >= end { return .late }
        }
    }
}

/// The argument of `poll`, rounded up so that a wait never ends just before its time.
func milliseconds(until instant: ContinuousClock.Instant) -> Int32 {
    let remaining = ContinuousClock.now.duration(to: instant)
    guard remaining > .zero else { return 0 }
    let (seconds, attoseconds) = remaining.components
    guard seconds < 1_000_000 else { return 1_000_000_000 }
    return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
}
