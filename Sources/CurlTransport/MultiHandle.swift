import CCurl
import Glibc
import Synchronization

/// Done once per process, before the first handle; libcurl requires it and counts repetitions.
private let globalInitCode = curl_global_init(Int(CURL_GLOBAL_ALL))

/// Ends the loop's wait from any thread, for as long as the multi handle exists.
final class MultiWakeUp: Sendable {
    /// May be sent anywhere because it is only used under the mutex, for the one call that any thread may make.
    private struct Handle: @unchecked Sendable {
        let raw: UnsafeMutableRawPointer
    }

    private let handle = Mutex<Handle?>(nil)

    fileprivate func attach(_ multi: UnsafeMutableRawPointer) {
        let attached = Handle(raw: multi)
        handle.withLock { $0 = attached }
    }

    fileprivate func detach() {
        handle.withLock { $0 = nil }
    }

    /// Made under the lock, as the handle must not be cleaned up meanwhile; it writes one byte and never blocks.
    func wake() {
        handle.withLock { handle in
            if let handle { curl_multi_wakeup(handle.raw) }
        }
    }
}

/// The libcurl multi handle: many transfers on one thread, with the connections they share.
///
/// Confined to the loop thread after `init`.
final class MultiHandle {
    private let raw: UnsafeMutableRawPointer
    private let wakeUp: MultiWakeUp

    /// - Returns: nil without memory or descriptors.
    init?(wakeUp: MultiWakeUp, maxConnectionsPerHost: Int, maxTotalConnections: Int) {
        guard globalInitCode == CURLE_OK else { return nil }
        let before = openDescriptors()
        guard let raw = curl_multi_init() else { return nil }
        // This version of libcurl makes its wake-up sockets without close-on-exec; a child would inherit them.
        for descriptor in openDescriptors().subtracting(before) {
            let flags = fcntl(descriptor, F_GETFD)
            if flags >= 0 { _ = fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
        }
        self.raw = raw
        self.wakeUp = wakeUp
        // The admission queue keeps to these limits by itself; libcurl's are the backstop, and what closes an idle
        // connection when a new one needs its place. MAXCONNECTS keeps idle ones that far: its default would not.
        var codes = ccurl_multi_set_long(raw, CURLMOPT_MAX_HOST_CONNECTIONS, maxConnectionsPerHost).rawValue
        codes |= ccurl_multi_set_long(raw, CURLMOPT_MAX_TOTAL_CONNECTIONS, maxTotalConnections).rawValue
        codes |= ccurl_multi_set_long(raw, CURLMOPT_MAXCONNECTS, maxTotalConnections).rawValue
        codes |= ccurl_multi_set_long(raw, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX)).rawValue
        guard codes == CURLM_OK.rawValue else { return nil }
        wakeUp.attach(raw)
    }

    /// Every easy handle must have been removed; closes all connections.
    deinit {
        wakeUp.detach()
        curl_multi_cleanup(raw)
    }

    func add(_ easy: EasyHandle) -> CURLMcode {
        curl_multi_add_handle(raw, easy.raw)
    }

    func remove(_ easy: EasyHandle) {
        let code = curl_multi_remove_handle(raw, easy.raw)
        precondition(code == CURLM_OK, "handle removed twice or from within a callback: \(code.rawValue)")
    }

    /// Does all the work that is possible now; callbacks run inside.
    func perform() -> CURLMcode {
        var running: Int32 = 0
        return curl_multi_perform(raw, &running)
    }

    /// Waits for sockets, libcurl's timers, a wake-up or the limit, whichever is first.
    func wait(milliseconds: Int32) -> CURLMcode {
        curl_multi_poll(raw, nil, 0, milliseconds, nil)
    }

    /// The next transfer that ended since the last call, by the address of its easy handle.
    func nextFinished() -> (easy: UnsafeMutableRawPointer, code: CURLcode)? {
        var remaining: Int32 = 0
        while let message = curl_multi_info_read(raw, &remaining) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            return (easy, message.pointee.data.result)
        }
        return nil
    }
}

/// The numbers of this process's open descriptors; empty where `/proc` is not mounted.
private func openDescriptors() -> Set<Int32> {
    guard let directory = opendir("/proc/self/fd") else { return [] }
    defer { closedir(directory) }
    let own = dirfd(directory)
    var found: Set<Int32> = []
    while let entry = readdir(directory) {
        let number = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            Int32(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        if let number, number != own { found.insert(number) }
    }
    return found
}
