#if canImport(Glibc)
    internal import Glibc
#endif

/// Runs blocking code on a thread of its own and waits for it without blocking the caller's.
///
/// Tests that read sockets need it: the cooperative pool has as many threads as processors, and blocking them all would
/// stop the very work whose answer is awaited. Not cancellable.
public func runOnThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let work = ThreadWork { continuation.resume(with: Result(catching: body)) }
        var thread = pthread_t()
        // The thread takes the reference back.
        let context = Unmanaged.passRetained(work)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<ThreadWork>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            context.toOpaque()
        )
        if code == 0 {
            pthread_detach(thread)
        } else {
            context.release()
            continuation.resume(throwing: RawHTTPClient.Failure.system(operation: "pthread_create", code: code))
        }
    }
}

/// Waits, blocking, until the condition holds; looks every millisecond.
///
/// - Returns: Whether it held within the deadline.
public func waitUntil(within deadline: Duration = .seconds(10), _ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + deadline
    while !condition() {
        guard ContinuousClock.now < end else { return false }
        usleep(1000)
    }
    return true
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}
