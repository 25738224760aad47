import CCurl
import LoopThread
import Synchronization

/// An HTTP client: libcurl on one thread of its own, with connections that are kept and shared.
///
/// Every call ends by its deadline, with a response of any status or a typed error. Redirects are not followed,
/// certificates are always verified, and the proxy variables of the environment are ignored.
public final class CurlTransport: Sendable {
    private let thread: LoopThread<LoopMessage>
    private let sockets: SocketKeeper
    private let unanswered: CallCounter
    private let lastID = Atomic<UInt64>(0)

    /// Starts the client's thread; connects to nothing yet.
    ///
    /// - Throws: `.unusable` for a bad configuration, or without memory, descriptors or threads.
    public init(configuration: CurlConfiguration) throws(CurlError) {
        if let fault = configuration.fault { throw .unusable(reason: fault) }
        let wakeUp = MultiWakeUp()
        let sockets = SocketKeeper(unacknowledgedDataLimit: configuration.unacknowledgedDataLimit)
        let unanswered = CallCounter()
        guard
            let loop = TransferLoop(
                configuration: configuration,
                wakeUp: wakeUp,
                sockets: sockets,
                unanswered: unanswered
            )
        else {
            throw .unusable(reason: "libcurl has no memory or descriptors for a multi handle")
        }
        do {
            thread = try LoopThread(name: "curl", wake: { wakeUp.wake() }, body: { inbox in loop.run(inbox) })
        } catch {
            throw .unusable(reason: "no thread (errno \(error.code))")
        }
        self.sockets = sockets
        self.unanswered = unanswered
    }

    /// Sends a request and returns its complete response, whatever its status.
    ///
    /// - Parameter request: Sent as it is, plus the fields that `TransportRequest.headers` names.
    /// - Returns: The response, at most as large as the request or the configuration allows.
    /// - Throws: Any `CurlError`. If the task is cancelled, `.cancelled` at once; whether the server may have acted on
    ///   the request is in the error's `mayHaveReachedServer`.
    public func send(_ request: TransportRequest) async throws(CurlError) -> TransportResponse {
        let startedAt = ContinuousClock.now
        if let fault = request.fault { throw .invalidRequest(reason: fault) }
        let target = try RequestTarget(url: request.url)
        let cancellation = CancellationFlag()
        let id = lastID.add(1, ordering: .relaxed).newValue
        unanswered.add()
        let result: Result<TransportResponse, CurlError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let submission = Submission(
                    id: id,
                    request: request,
                    target: target,
                    startedAt: startedAt,
                    cancellation: cancellation,
                    continuation: continuation
                )
                if !thread.post(.start(submission)) {
                    unanswered.remove()
                    continuation.resume(returning: .failure(.closed(phase: .connecting)))
                }
            }
        } onCancel: {
            // The flag goes first: whichever of the two messages the loop sees first, it learns of the cancellation.
            cancellation.set()
            _ = thread.post(.cancel(id))
        }
        return try result.get()
    }

    /// Answers every call with `.closed`, closes every connection and ends the thread; returns when that is done.
    ///
    /// May be called more than once and by many. Later requests throw `.closed`. A name lookup that hangs keeps its
    /// own thread until the resolver returns.
    public func close() async {
        thread.close()
        await thread.waitUntilEnded()
    }

    /// Calls that are not answered yet, the waiting ones included.
    public var inFlight: Int { unanswered.count }

    /// Sockets that are open now, connecting and idle ones included; at most `maxTotalConnections`, plus the second
    /// attempts of hosts with several addresses. Costs a system call per socket; for metrics.
    public var openConnections: Int { sockets.count }
}

/// Counts calls from the request to the moment before their caller is resumed.
final class CallCounter: Sendable {
    private let calls = Atomic<Int>(0)

    var count: Int { calls.load(ordering: .relaxed) }

    func add() { calls.add(1, ordering: .relaxed) }

    func remove() { calls.subtract(1, ordering: .relaxed) }
}
