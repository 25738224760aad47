internal import CMicrohttpd
internal import Synchronization

/// The suspended requests. Whoever removes an entry, the finished work or the stopping server, resumes its connection:
/// so every connection is resumed exactly once.
final class PendingTable: Sendable {
    /// `@unchecked Sendable`: the connection is used only for `MHD_resume_connection`, which any thread may call.
    private struct Entry: @unchecked Sendable {
        let connection: OpaquePointer
        let exchange: Exchange
        var cancel: (@Sendable () -> Void)?
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var lastID: UInt64 = 0
        var isClosed = false
    }

    enum Insertion {
        case inserted(UInt64)
        case refused(ServerRefusal)
    }

    private let limit: Int
    private let wake: @Sendable () -> Void
    private let state = Mutex(State())

    /// `wake` tells the polling threads that a connection was resumed.
    init(limit: Int, wake: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.wake = wake
    }

    var count: Int { state.withLock { $0.entries.count } }

    /// Whether an insertion would be refused now.
    var refusal: ServerRefusal? {
        state.withLock { $0.isClosed ? .draining : $0.entries.count >= limit ? .overloaded : nil }
    }

    /// Enters a connection that the caller has just suspended. When refused, the caller has to resume it.
    func insert(_ connection: OpaquePointer, _ exchange: Exchange) -> Insertion {
        // The entry is made before the lock, which then has nothing to compute.
        let entry = Entry(connection: connection, exchange: exchange)
        return state.withLock { state in
            guard !state.isClosed else { return .refused(.draining) }
            guard state.entries.count < limit else { return .refused(.overloaded) }
            state.lastID += 1
            state.entries[state.lastID] = entry
            return .inserted(state.lastID)
        }
    }

    /// Remembers how to cancel the work of an entry; cancels it at once if the entry has been settled meanwhile.
    func setCancel(_ id: UInt64, _ cancel: @escaping @Sendable () -> Void) {
        let isPending = state.withLock { state in
            guard state.entries[id] != nil else { return false }
            state.entries[id]?.cancel = cancel
            return true
        }
        // Either the work has returned, and cancelling it does nothing, or the server is stopping.
        if !isPending { cancel() }
    }

    /// Answers a pending request; does nothing if it has been answered.
    func settle(_ id: UInt64, with response: ServerResponse) {
        // The library is called under the lock on purpose: a stopping server that finds the table empty may stop the
        // daemon at once, and the daemon aborts the process if a removed entry was not resumed yet. It cannot
        // deadlock: the library holds no lock of its own while it calls us.
        let removed = state.withLock { state -> Entry? in
            guard let entry = state.entries.removeValue(forKey: id) else { return nil }
            entry.exchange.settled = response
            MHD_resume_connection(entry.connection)
            return entry
        }
        if removed != nil { wake() }
        // Its canceller, and what it captures, goes outside the lock.
        withExtendedLifetime(removed) {}
    }

    /// Refuses further entries and answers those there are with `response`, then cancels their work.
    ///
    /// - Parameters:
    ///   - response: What every one of them is answered.
    ///   - eachRefused: Called once for each entry that was answered this way.
    func closeAndSettleAll(with response: ServerResponse, eachRefused: () -> Void) {
        let removed = state.withLock { state in
            state.isClosed = true
            let entries = Array(state.entries.values)
            state.entries.removeAll()
            for entry in entries {
                entry.exchange.settled = response
                MHD_resume_connection(entry.connection)
            }
            return entries
        }
        if !removed.isEmpty { wake() }
        for entry in removed {
            entry.cancel?()
            eachRefused()
        }
    }
}
