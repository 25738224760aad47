import Synchronization

/// Set by the caller's cancellation, read by the loop when it first sees the call: the cancellation may come first.
final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}

/// A request on its way to the loop, with the caller who waits for it.
struct Submission: Sendable {
    let id: UInt64
    let request: TransportRequest
    let target: RequestTarget
    let startedAt: ContinuousClock.Instant
    let cancellation: CancellationFlag
    /// Resumed exactly once: by the loop that took the submission, or by the caller if the inbox refused it.
    let continuation: CheckedContinuation<Result<TransportResponse, CurlError>, Never>

    var deadline: ContinuousClock.Instant { startedAt + min(request.deadline, .seconds(1_000_000_000)) }
}

/// What other threads tell the loop.
enum LoopMessage: Sendable {
    case start(Submission)
    case cancel(UInt64)
    case lookedUp(String, Result<[String], NameResolver.Failure>)
}

/// A call that is not answered yet. Confined to the loop thread.
final class Call {
    enum Stage {
        /// Waiting for addresses, at most until the instant.
        case resolving(until: ContinuousClock.Instant)
        case queued
        case transferring(Transfer)
    }

    let submission: Submission
    let deadline: ContinuousClock.Instant
    var stage: Stage = .queued
    /// Numeric addresses of the host; empty if the URL has a numeric one itself.
    var addresses: [String] = []
    /// What name lookup left of the connect timeout.
    var connectTimeout: Duration

    init(_ submission: Submission, connectTimeout: Duration) {
        self.submission = submission
        self.connectTimeout = connectTimeout
        deadline = submission.deadline
    }

    var target: RequestTarget { submission.target }

    var phase: TransferPhase {
        if case .transferring(let transfer) = stage { transfer.phase } else { .connecting }
    }

    /// When the loop has to look at the call again if nothing happens.
    var nextCheck: ContinuousClock.Instant {
        if case .resolving(let until) = stage { min(until, deadline) } else { deadline }
    }
}
