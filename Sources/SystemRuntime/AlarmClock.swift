internal import CShims
internal import Glibc
internal import HeapModule
internal import SandboxCore

/// Wakes sleeping tasks and calls functions at their deadlines, and forgets at once what is cancelled.
///
/// `Task.sleep` would do but for its memory: a cancelled one is kept until the deadline it no longer waits for. Nearly
/// all of our sleeps are time limits that are cancelled within milliseconds and were meant to last a minute and more;
/// under load they held gigabytes.
///
/// `@unchecked Sendable`: `sleepers`, `alarms` and `abandoned` are touched only with `mutex` locked.
final class AlarmClock: @unchecked Sendable {
    /// The process's only one; its thread lives as long as the process.
    static let shared = AlarmClock()

    private struct Alarm: Comparable {
        var deadline: MonotonicInstant
        var id: UInt64

        static func < (left: Alarm, right: Alarm) -> Bool {
            left.deadline == right.deadline ? left.id < right.id : left.deadline < right.deadline
        }
    }

    /// From how many on abandoned alarms are cleared away, if they are the majority: rarely enough to cost nothing.
    private static let clearance = 1024

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var lastID: UInt64 = 0
    /// What is done when the time has come.
    private var sleepers: [UInt64: @Sendable () -> Void] = [:]
    private var alarms = Heap<Alarm>()
    /// Alarms whose sleeper is gone.
    private var abandoned = 0

    private init() {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
        var thread = pthread_t()
        // The thread owns one reference to this object, for ever.
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                cshims_name_thread("alarm-clock")
                Unmanaged<AlarmClock>.fromOpaque(context).takeUnretainedValue().run()
            },
            context.toOpaque()
        )
        precondition(code == 0, "no thread could be made at the start of the process")
        pthread_detach(thread)
    }

    /// How many sleep, and how many alarms are kept; the latter may be twice as many, and some.
    var counts: (sleepers: Int, alarms: Int) { locked { (sleepers.count, alarms.count) } }

    /// Waits until `deadline`; returns early when the task is cancelled.
    func sleep(until deadline: MonotonicInstant) async {
        let id = locked {
            lastID += 1
            return lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                locked { set(Alarm(deadline: deadline, id: id)) { continuation.resume() } }
                // Cancelled before there was anything to cancel: the handler below came too early and found nothing.
                if Task.isCancelled { remove(id)?() }
            }
        } onCancel: {
            remove(id)?()
        }
    }

    /// Calls `action` at `deadline`, on this clock's thread, which it must not keep.
    ///
    /// - Returns: The number to `forget`.
    func call(at deadline: MonotonicInstant, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        locked {
            lastID += 1
            set(Alarm(deadline: deadline, id: lastID), action)
            return lastID
        }
    }

    /// Does not call the function of that number any more, if it has not begun to.
    func forget(_ id: UInt64) { _ = remove(id) }

    /// With the mutex locked.
    private func set(_ alarm: Alarm, _ action: @escaping @Sendable () -> Void) {
        sleepers[alarm.id] = action
        alarms.insert(alarm)
        if alarms.min?.id == alarm.id { pthread_cond_signal(changed) }
    }

    private func remove(_ id: UInt64) -> (@Sendable () -> Void)? {
        locked {
            guard let sleeper = sleepers.removeValue(forKey: id) else { return nil }
            abandoned += 1
            if abandoned >= Self.clearance, abandoned > sleepers.count {
                alarms = Heap(alarms.unordered.filter { sleepers[$0.id] != nil })
                abandoned = 0
            }
            return sleeper
        }
    }

    // MARK: The thread

    private func run() -> Never {
        while true {
            // Outside the lock: a resumed task may run at once and come back.
            for sleeper in locked(nextDue) { sleeper() }
        }
    }

    /// Waits until alarms are due; their sleepers, which are no longer kept. With the mutex locked.
    private func nextDue() -> [@Sendable () -> Void] {
        let clock = SystemTime()
        while true {
            let now = clock.now()
            var due: [@Sendable () -> Void] = []
            while let first = alarms.min, first.deadline <= now {
                alarms.removeMin()
                if let sleeper = sleepers.removeValue(forKey: first.id) { due.append(sleeper) } else { abandoned -= 1 }
            }
            guard due.isEmpty else { return due }
            if let first = alarms.min {
                let (seconds, attoseconds) = first.deadline.sinceZero.components
                // Rounded up: a moment too early would only be waited for again.
                var until = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000) + 1)
                if until.tv_nsec >= 1_000_000_000 { until = timespec(tv_sec: until.tv_sec + 1, tv_nsec: 0) }
                pthread_cond_timedwait(changed, mutex, &until)
            } else {
                pthread_cond_wait(changed, mutex)
            }
        }
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
