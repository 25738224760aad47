internal import CShims
internal import Glibc
internal import Synchronization

/// What other threads tell a polling thread: new clients, that a connection was resumed, that it shall end.
final class PollingInbox: Sendable {
    /// An accepted socket and its peer's address.
    struct Client: Sendable {
        let socket: Int32
        let address: sockaddr_storage
        let size: socklen_t
    }

    private struct State {
        var clients: [Client] = []
        var isStopping = false
    }

    /// Readable when there is news.
    let event: Int32
    private let state = Mutex(State())
    /// Whether `event` is readable already, so that a thousand resumed requests cost one write.
    private let isAwake = Atomic(false)

    /// - Throws: `.system` if there is no file descriptor left.
    init() throws(HTTPServerError) {
        event = cshims_eventfd()
        guard event >= 0 else { throw .system(operation: "eventfd", code: errno) }
    }

    deinit {
        for client in state.withLock({ $0.clients }) { close(client.socket) }
        close(event)
    }

    /// How many clients wait to be taken.
    var count: Int { state.withLock { $0.clients.count } }

    func add(_ client: Client) {
        state.withLock { $0.clients.append(client) }
        wake()
    }

    func requestStop() {
        state.withLock { $0.isStopping = true }
        wake()
    }

    func wake() {
        guard !isAwake.exchange(true, ordering: .sequentiallyConsistent) else { return }
        var one: UInt64 = 1
        // A full counter is awake already.
        _ = write(event, &one, MemoryLayout<UInt64>.size)
    }

    /// The news since the last call.
    func take() -> (clients: [Client], isStopping: Bool) {
        var count: UInt64 = 0
        _ = read(event, &count, MemoryLayout<UInt64>.size)
        // Before the news is taken: what is told from here on wakes the thread again.
        isAwake.store(false, ordering: .sequentiallyConsistent)
        return state.withLock { state in
            defer { state.clients = [] }
            return (state.clients, state.isStopping)
        }
    }
}
