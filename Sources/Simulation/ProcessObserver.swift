internal import SandboxCore

/// Counts what a process says of its locks and operations. Confined to the simulation's thread.
final class ProcessObserver: ManagerObserver, @unchecked Sendable {
    private let note: (String) -> Void
    private(set) var locks = 0
    private(set) var operations = 0

    init(note: @escaping (String) -> Void) { self.note = note }

    func breakerChanged(_ upstream: Upstream, to state: BreakerState) {
        note("breaker before the \(upstream.rawValue) is \(state.rawValue)")
    }
    func providerCalled(_ operation: ProviderOperation, _ result: ProviderResult, took: Duration) {
        if result != .ok { note("\(operation.rawValue) -> \(result.rawValue)") }
    }
    func userLockCreated() { locks += 1 }
    func userLockRemoved() { locks -= 1 }
    func operationStarted(_ operation: Operation) { operations += 1 }
    func operationEnded(_ operation: Operation, failure: ErrorReason?, took: Duration) { operations -= 1 }
    func operationOutlivedCaller(_ operation: Operation) { operations += 1 }
    func outlivingOperationEnded(_ operation: Operation) { operations -= 1 }
}
