import LoopThread
import Synchronization

/// Runs name lookups on threads of their own, which exist only while there are names to look up.
///
/// libcurl's own resolver thread is joined when a transfer is removed during a lookup, which would stall every other
/// transfer for as long as the resolver is silent. Here a silent resolver holds one thread and nothing else.
final class LookupPool: Sendable {
    private struct State {
        var names: [String] = []
        var threads = 0
        var isClosed = false
    }

    private let resolver: NameResolver
    private let maxThreads: Int
    private let maxNames: Int
    private let deliver: @Sendable (String, Result<[String], NameResolver.Failure>) -> Void
    private let state = Mutex(State())

    /// `deliver` gets each result, on the thread of the lookup; not after `close()` returned, save for
    ///   lookups that were just ending.
    init(
        resolver: NameResolver,
        maxThreads: Int,
        maxNames: Int,
        deliver: @escaping @Sendable (String, Result<[String], NameResolver.Failure>) -> Void
    ) {
        self.resolver = resolver
        self.maxThreads = maxThreads
        self.maxNames = maxNames
        self.deliver = deliver
    }

    /// Queues a lookup; false if too many are waiting or no thread can be had.
    func submit(_ name: String) -> Bool {
        let (accepted, needsThread) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, state.names.count < maxNames else { return (false, false) }
            state.names.append(name)
            guard state.threads < maxThreads else { return (true, false) }
            state.threads += 1
            return (true, true)
        }
        guard needsThread else { return accepted }
        do {
            try SystemThread.start(name: "curl-lookup") { self.work() }
            return true
        } catch {
            return state.withLock { state in
                state.threads -= 1
                // Another thread may have taken the name, or will; only a name that nobody would look at is refused.
                guard state.threads == 0, let index = state.names.firstIndex(of: name) else { return true }
                state.names.remove(at: index)
                return false
            }
        }
    }

    /// Forgets what is queued. Lookups that run cannot be ended; their threads end with them.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.names = []
        }
    }

    private func work() {
        while let name = nextName() {
            deliver(name, resolver.lookup(name))
        }
    }

    private func nextName() -> String? {
        state.withLock { state in
            guard !state.names.isEmpty else {
                state.threads -= 1
                return nil
            }
            return state.names.removeFirst()
        }
    }
}
