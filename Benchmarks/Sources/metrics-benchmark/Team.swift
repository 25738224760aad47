internal import Glibc
internal import Synchronization

/// Threads that do the same work at the same time.
///
/// Threads of their own, not tasks: on two processors a pool of two would otherwise run one after the other now and then.
final class Team: Sendable {
    private let size: Int
    private let work: @Sendable () -> Void
    private let ready = Atomic(0)

    init(_ size: Int, work: @escaping @Sendable () -> Void) {
        self.size = size
        self.work = work
    }

    /// Lets them begin together, and waits for the last one.
    ///
    /// - Returns: The time between the two.
    func run() -> Duration {
        var threads: [pthread_t] = []
        for _ in 0..<size {
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self)
            let code = pthread_create(
                &thread,
                nil,
                { context in
                    guard let context else { return nil }
                    let team = Unmanaged<Team>.fromOpaque(context).takeRetainedValue()
                    team.ready.add(1, ordering: .sequentiallyConsistent)
                    while team.ready.load(ordering: .acquiring) <= team.size {}
                    team.work()
                    return nil
                },
                context.toOpaque()
            )
            precondition(code == 0, "a thread could not be made")
            threads.append(thread)
        }
        while ready.load(ordering: .acquiring) < size { sched_yield() }
        let start = ContinuousClock.now
        ready.add(1, ordering: .sequentiallyConsistent)
        for thread in threads { pthread_join(thread, nil) }
        return ContinuousClock.now - start
    }
}
