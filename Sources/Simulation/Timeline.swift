internal import HeapModule

/// The simulation's clock, and what will happen when. Time passes only when no job is ready.
///
/// Confined to the simulation's thread.
final class Timeline: @unchecked Sendable {
    /// Something that will happen. Confined to the simulation's thread.
    final class Alarm: Comparable, @unchecked Sendable {
        let at: Int64
        /// Of two at one instant the one that was set first is first.
        private let order: UInt64
        fileprivate var action: (() -> Void)?

        fileprivate init(at: Int64, order: UInt64, action: @escaping () -> Void) {
            self.at = at
            self.order = order
            self.action = action
        }

        func cancel() { action = nil }

        static func < (left: Alarm, right: Alarm) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Alarm, right: Alarm) -> Bool { left === right }
    }

    /// Nanoseconds since the run began.
    private(set) var now: Int64 = 0
    private var alarms = Heap<Alarm>()
    private var lastOrder: UInt64 = 0

    @discardableResult
    func at(_ instant: Int64, _ action: @escaping () -> Void) -> Alarm {
        lastOrder += 1
        let alarm = Alarm(at: max(instant, now), order: lastOrder, action: action)
        alarms.insert(alarm)
        return alarm
    }

    @discardableResult
    func after(_ delay: Int64, _ action: @escaping () -> Void) -> Alarm { at(now + max(0, delay), action) }

    /// Goes on to the next alarm and rings it.
    ///
    /// - Returns: `false` if there is none.
    func ringNext() -> Bool {
        while let alarm = alarms.popMin() {
            guard let action = alarm.action else { continue }
            now = alarm.at
            alarm.action = nil
            action()
            return true
        }
        return false
    }

    /// Waits, in a task of the world outside the replicas.
    func sleep(_ delay: Int64) async {
        await withUnsafeContinuation { continuation in
            after(delay) { continuation.resume() }
        }
    }
}

/// A value that is settled once and awaited by at most one task. Later settlements do nothing.
///
/// Confined to the simulation's thread.
final class Reply<Value: Sendable>: @unchecked Sendable {
    private var continuation: UnsafeContinuation<Value, Never>?
    private var value: Value?
    private(set) var isSettled = false

    func settle(_ value: Value) {
        guard !isSettled else { return }
        isSettled = true
        if let continuation {
            self.continuation = nil
            continuation.resume(returning: value)
        } else {
            self.value = value
        }
    }

    func wait() async -> Value {
        await withUnsafeContinuation { continuation in
            if let value {
                self.value = nil
                continuation.resume(returning: value)
            } else {
                self.continuation = continuation
            }
        }
    }
}

extension Duration {
    var nanoseconds: Int64 {
        let parts = components
        return parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
    }
}

extension Int64 {
    static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }
    static func seconds(_ count: Int64) -> Int64 { count * 1_000_000_000 }

    /// Seconds with microseconds, as histories show them.
    var asSeconds: String {
        let micros = String(self % 1_000_000_000 / 1000)
        return "\(self / 1_000_000_000).\(String(repeating: "0", count: 6 - micros.count))\(micros)"
    }
}
