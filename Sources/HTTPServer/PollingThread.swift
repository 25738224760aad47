internal import CMicrohttpd
internal import CShims
internal import Glibc

/// A thread of ours that runs one of the library's daemons.
///
/// Not one of the library's own threads: in 0.9.75 those call `epoll_wait` again, with their whole timeout, after it
/// returned exactly 128 events (`MHD_epoll`, `MAX_EVENTS`). When 128 clients have sent a request each and wait for the
/// answers, nothing more happens and nobody is answered. `MHD_run` asks without waiting; the waiting is done here.
///
/// `@unchecked Sendable`: the daemon is used by the starting thread before ``start()`` and by this thread after it.
final class PollingThread: @unchecked Sendable {
    private let daemon: OpaquePointer
    private let epoll: Int32
    private let inbox: PollingInbox
    private var thread = pthread_t()

    init(settings: inout cmhd_settings, inbox: PollingInbox) throws(HTTPServerError) {
        guard let daemon = cmhd_start(&settings) else { throw .libraryRefused }
        let epoll = cmhd_epoll_descriptor(daemon)
        guard epoll >= 0 else {
            MHD_stop_daemon(daemon)
            throw .libraryRefused
        }
        self.daemon = daemon
        self.epoll = epoll
        self.inbox = inbox
    }

    /// Ends a daemon whose thread was never started.
    func discard() { MHD_stop_daemon(daemon) }

    func start() throws(HTTPServerError) {
        // The thread owns one reference to this object until it ends.
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                cshims_name_thread("http-polling")
                Unmanaged<PollingThread>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            context.toOpaque()
        )
        guard code == 0 else {
            context.release()
            throw .system(operation: "pthread_create", code: code)
        }
    }

    /// Ends the thread and its daemon; returns when both are gone. No connection may be suspended.
    func stop() {
        inbox.requestStop()
        pthread_join(thread, nil)
    }

    private func run() {
        var descriptors = [
            pollfd(fd: epoll, events: Int16(POLLIN), revents: 0),
            pollfd(fd: inbox.event, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            poll(&descriptors, nfds_t(descriptors.count), timeout)
            if descriptors[1].revents != 0 {
                let news = inbox.take()
                for client in news.clients { add(client) }
                if news.isStopping { break }
            }
            MHD_run(daemon)
        }
        MHD_stop_daemon(daemon)
    }

    /// Milliseconds until the library wants to run without an event; -1 for never.
    private var timeout: Int32 {
        var milliseconds: UInt64 = 0
        guard MHD_get_timeout(daemon, &milliseconds) == .YES else { return -1 }
        return Int32(clamping: milliseconds)
    }

    private func add(_ client: PollingInbox.Client) {
        var address = client.address
        // The library owns the descriptor from here, also when it refuses.
        _ = withUnsafeBytes(of: &address) { bytes in
            MHD_add_connection(
                daemon,
                client.socket,
                bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                client.size
            )
        }
    }
}
