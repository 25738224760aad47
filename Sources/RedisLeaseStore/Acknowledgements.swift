internal import Synchronization

/// Counts which replicas have said that they dropped a copy, for those who wait for it.
final class Acknowledgements: Sendable {
    private struct Waiting {
        var arrived = 0
        var needed = Int.max
        var continuation: CheckedContinuation<Void, Never>?
    }

    private let waiting = Mutex<[String: Waiting]>([:])

    /// How many are waited for, for a test that none stays.
    var count: Int { waiting.withLock { $0.count } }

    /// From now on they count; they may come before anybody knows how many to wait for.
    func expect(_ name: String) { waiting.withLock { $0[name] = Waiting() } }

    /// Ends the waiting.
    func forget(_ name: String) {
        waiting.withLock { $0.removeValue(forKey: name)?.continuation }?.resume()
    }

    /// One more; nothing if nobody waits any more.
    func arrived(_ name: String) {
        let continuation = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
            waiting[name]?.arrived += 1
            return Self.takeIfDone(&waiting[name])
        }
        continuation?.resume()
    }

    /// Waits until so many have arrived, the time is up, or the task is cancelled.
    func wait(for needed: Int, _ name: String, atMost limit: Duration) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                try? await Task.sleep(for: limit)
                self.forget(name)
            }
            await self.wait(for: needed, name)
            group.cancelAll()
        }
    }

    private func wait(for needed: Int, _ name: String) async {
        await withCheckedContinuation { continuation in
            let done = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
                // Forgotten already: the time was up.
                guard waiting[name] != nil else { return continuation }
                waiting[name]?.needed = needed
                waiting[name]?.continuation = continuation
                return Self.takeIfDone(&waiting[name])
            }
            done?.resume()
        }
    }

    private static func takeIfDone(_ waiting: inout Waiting?) -> CheckedContinuation<Void, Never>? {
        guard let present = waiting, present.arrived >= present.needed else { return nil }
        waiting?.continuation = nil
        return present.continuation
    }
}
