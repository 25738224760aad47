internal import SandboxCore

/// One time limit over all requests of a call.
struct Deadline {
    let limit: Duration
    private let end: MonotonicInstant
    private let time: any TimeSource

    init(_ limit: Duration, _ time: any TimeSource) {
        self.limit = limit
        self.time = time
        end = time.now() + limit
    }

    /// What is left; zero or less when it has passed.
    var rest: Duration { end - time.now() }
}

extension Duration {
    /// As the API counts: whole seconds, rounded up, at least 1.
    var apiSeconds: Int { wholeSecondsUp }
}
