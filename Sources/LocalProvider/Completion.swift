internal import SandboxCore
internal import Synchronization

/// The answer to one call, given at most once however many events claim to be it. Confined to the loop's thread.
final class Completion<Value: Sendable> {
    typealias Answer = Result<Value, ProviderError>

    private var continuation: CheckedContinuation<Answer, Never>?
    private let ticket: CallTicket
    private var atEnd: (() -> Void)?

    init(_ continuation: CheckedContinuation<Answer, Never>, ticket: CallTicket) {
        self.continuation = continuation
        self.ticket = ticket
    }

    var isFinished: Bool { continuation == nil }
    var wasCancelled: Bool { ticket.isCancelled }

    /// What to tidy up when the answer is given; runs once, before it.
    func onFinish(_ action: @escaping () -> Void) {
        let earlier = atEnd
        atEnd = {
            earlier?()
            action()
        }
    }

    func finish(_ answer: Answer) {
        guard let continuation else { return }
        self.continuation = nil
        let atEnd = self.atEnd
        self.atEnd = nil
        atEnd?()
        continuation.resume(returning: answer)
    }

    func fail(_ error: ProviderError) { finish(.failure(error)) }
}

/// Ties a call to its caller's cancellation, which may come before the loop has heard of the call.
final class CallTicket: Sendable {
    private let flag = Atomic(false)

    var isCancelled: Bool { flag.load(ordering: .acquiring) }
    func cancel() { flag.store(true, ordering: .releasing) }
}
