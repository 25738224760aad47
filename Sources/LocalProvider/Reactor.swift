internal import CLocalSandbox

/// Descriptors and timers of one thread. Not sendable: it is made, used and ended on its ``IOLoop``'s thread.
final class Reactor {
    /// Names a watched descriptor; never used twice, so a late event for a closed one finds nobody.
    struct Watch: Hashable { fileprivate let token: UInt64 }
    /// Names a timer.
    struct Timer: Hashable { fileprivate let number: UInt64 }
    /// What happened to a descriptor.
    struct Events: OptionSet {
        let rawValue: UInt32
        static let readable = Events(rawValue: UInt32(CLS_READABLE))
        static let writable = Events(rawValue: UInt32(CLS_WRITABLE))
        static let hungUp = Events(rawValue: UInt32(CLS_HUNG_UP))
    }

    private struct Watched {
        let descriptor: Int32
        let handler: (Events) -> Void
    }

    private let epoll: Int32
    private var lastToken: UInt64 = 0
    private var watched: [UInt64: Watched] = [:]
    private var timers: [UInt64: () -> Void] = [:]
    // A heap by deadline, in nanoseconds of the monotonic clock; cancelled timers stay until due or until they are many.
    private var deadlines: [(at: UInt64, number: UInt64)] = []

    /// Fails with `errno` when the process has no descriptor left.
    init(epoll: Int32) { self.epoll = epoll }

    deinit { cls_close(epoll) }

    func watch(_ descriptor: Int32, for events: Events, _ handler: @escaping (Events) -> Void) -> Watch? {
        lastToken += 1
        guard cls_epoll_add(epoll, descriptor, events.rawValue, lastToken) == 0 else { return nil }
        watched[lastToken] = Watched(descriptor: descriptor, handler: handler)
        return Watch(token: lastToken)
    }

    func change(_ watch: Watch, to events: Events) {
        guard let entry = watched[watch.token] else { return }
        _ = cls_epoll_change(epoll, entry.descriptor, events.rawValue, watch.token)
    }

    /// Stops watching and closes the descriptor.
    func close(_ watch: Watch) {
        guard let entry = watched.removeValue(forKey: watch.token) else { return }
        _ = cls_epoll_remove(epoll, entry.descriptor)
        cls_close(entry.descriptor)
    }

    func after(_ delay: Duration, _ action: @escaping () -> Void) -> Timer {
        lastToken += 1
        timers[lastToken] = action
        insert((at: cls_now_nanoseconds() &+ Self.nanoseconds(delay), number: lastToken))
        return Timer(number: lastToken)
    }

    func cancel(_ timer: Timer?) {
        guard let timer, timers.removeValue(forKey: timer.number) != nil else { return }
        guard deadlines.count > 2 * timers.count + 64 else { return }
        // A sorted array is a heap.
        deadlines = deadlines.filter { timers[$0.number] != nil }.sorted { $0.at < $1.at }
    }

    /// Waits for what comes first and handles it.
    func turn() {
        withUnsafeTemporaryAllocation(of: cls_event.self, capacity: 64) { events in
            let count = cls_epoll_wait(epoll, events.baseAddress, Int32(events.count), waitMilliseconds())
            for index in 0..<max(0, Int(count)) {
                let event = events[index]
                watched[event.token]?.handler(Events(rawValue: event.events))
            }
        }
        let now = cls_now_nanoseconds()
        while let first = deadlines.first, first.at <= now {
            removeFirst()
            timers.removeValue(forKey: first.number)?()
        }
    }

    private func waitMilliseconds() -> Int32 {
        while let first = deadlines.first, timers[first.number] == nil { removeFirst() }
        guard let first = deadlines.first else { return -1 }
        let now = cls_now_nanoseconds()
        guard first.at > now else { return 0 }
        // Rounded up: waking early would mean another turn for nothing.
        return Int32(clamping: (first.at - now + 999_999) / 1_000_000)
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let bounded = min(max(duration, .zero), .seconds(365 * 86400))
        let parts = bounded.components
        return UInt64(parts.seconds) * 1_000_000_000 + UInt64(parts.attoseconds / 1_000_000_000)
    }

    private func insert(_ entry: (at: UInt64, number: UInt64)) {
        deadlines.append(entry)
        var child = deadlines.count - 1
        while child > 0, deadlines[child].at < deadlines[(child - 1) / 2].at {
            deadlines.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func removeFirst() {
        deadlines.swapAt(0, deadlines.count - 1)
        deadlines.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < deadlines.count {
                if deadlines[child].at < deadlines[least].at { least = child }
            }
            guard least != parent else { return }
            deadlines.swapAt(parent, least)
            parent = least
        }
    }
}
