import Glibc

/// The operating system refused to make a thread.
public struct ThreadStartError: Error, Sendable, Equatable {
    /// What `pthread_create` returned, an `errno` value; `EAGAIN` means a limit on threads or memory.
    public let code: Int32
}

/// Threads of our own, for C calls that block and must never hold a thread of the cooperative pool.
public enum SystemThread {
    /// Runs `body` once on a new detached thread.
    ///
    /// Signals that are sent to the process are blocked on the thread, so they reach the threads that expect them;
    /// this also keeps `SIGPIPE` of a write in a C library from ending the process. Nothing waits for the thread:
    /// let `body` report its end where that matters.
    ///
    /// - Parameters:
    ///   - name: Shown by debuggers and `top -H`; the system keeps the first 15 bytes.
    ///   - body: Handed over to the thread and released there.
    /// - Throws: The system's error code; `body` has then not run and never will.
    public static func start(name: String, body: sending @escaping () -> Void) throws(ThreadStartError) {
        // Owned by the thread: taken back once, at the start of its routine, or below when there is no thread.
        let start = Unmanaged.passRetained(ThreadStart(name: name, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, threadRoutine, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw ThreadStartError(code: code)
        }
    }
}

private final class ThreadStart {
    let name: String
    let body: () -> Void

    init(name: String, body: @escaping () -> Void) {
        self.name = name
        self.body = body
    }
}

private func threadRoutine(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let start = Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
    blockProcessSignals()
    nameThisThread(start.name)
    start.body()
    return nil
}

/// Best effort: a thread without a name works as well. (Glibc's own call for it is a GNU extension, not seen by Swift.)
private func nameThisThread(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    defer { close(file) }
    let bytes = Array(name.utf8.prefix(15))
    _ = write(file, bytes, bytes.count)
}

/// Blocks every signal but those that report a fault of the thread itself, which a crash report needs.
private func blockProcessSignals() {
    var blocked = sigset_t()
    sigfillset(&blocked)
    for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] {
        sigdelset(&blocked, fault)
    }
    pthread_sigmask(SIG_BLOCK, &blocked, nil)
}
