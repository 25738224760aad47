internal import Synchronization

/// The user locks of this process: ``UserLockTable`` decides, this class makes callers wait and wakes them.
///
/// Waiting ends with the lock, with a flight's outcome, at the caller's deadline or with its cancellation, whichever is
/// first; exactly one of them wins, decided under the mutex.
final class UserLocks<Outcome: Sendable>: Sendable {
    typealias Ticket = UserLockTable.Ticket

    /// How waiting ended well.
    enum Entrance {
        /// The lock is the caller's, who must ``finish(_:_:with:)``.
        case granted(Ticket)
        /// A flight brought this.
        case shared(Outcome)
    }

    private enum Signal: Sendable {
        case granted
        case shared(Outcome)
        case timedOut
        case cancelled
    }

    private struct State {
        var table: UserLockTable
        var lastTicket: Ticket = 0
        var waiting: [Ticket: CheckedContinuation<Signal, Never>] = [:]
        /// Signals for those who were let in but do not listen yet.
        var early: [Ticket: Signal] = [:]
    }

    private let state: Mutex<State>
    private let runtime: Runtime
    private let observer: any ManagerObserver

    init(waiterLimit: Int, forgetsToRemove: Bool, runtime: Runtime, observer: any ManagerObserver) {
        state = Mutex(State(table: UserLockTable(waiterLimit: waiterLimit, forgetsToRemove: forgetsToRemove)))
        self.runtime = runtime
        self.observer = observer
    }

    /// Waits for the lock or, as a shared caller, for the outcome of a flight under way.
    ///
    /// - Throws: `.timedOut(.request)` at `deadline`, `.cancelled` on cancellation, `.overloaded` if too many wait.
    func enter(
        _ key: LeaseKey,
        _ mode: UserLockTable.Mode,
        for operation: Operation = .acquire,
        until deadline: MonotonicInstant
    ) async throws(ManagerError) -> Entrance {
        let start = runtime.time.now()
        let (ticket, admission, isNew) = state.withLock { state in
            state.lastTicket += 1
            let count = state.table.count
            let admission = state.table.enter(key, state.lastTicket, mode, for: operation, now: start)
            return (state.lastTicket, admission, state.table.count > count)
        }
        if isNew { observer.userLockCreated() }
        switch admission {
        case .granted:
            observer.userLockWaited(.zero)
            return .granted(ticket)
        case .refused:
            throw .overloaded
        case .joined, .queued:
            let signal = await wait(key, ticket, until: deadline)
            return try entrance(signal, ticket, start: start)
        }
    }

    /// Waits for the outcome of the flight that `ticket` started.
    func outcome(
        of ticket: Ticket,
        _ key: LeaseKey,
        until deadline: MonotonicInstant
    ) async throws(ManagerError) -> Outcome {
        let start = runtime.time.now()
        switch await wait(key, ticket, until: deadline) {
        case .shared(let outcome): return outcome
        case .timedOut: throw .timedOut(operation: .request, after: runtime.time.now() - start)
        case .cancelled: throw .cancelled
        case .granted: preconditionFailure("a flight's starter was granted the lock twice")
        }
    }

    /// Takes the lock only if nobody has it.
    func tryHold(_ key: LeaseKey, for operation: Operation = .reconcile) -> Ticket? {
        let now = runtime.time.now()
        let (ticket, isNew): (Ticket?, Bool) = state.withLock { state in
            state.lastTicket += 1
            let count = state.table.count
            let isHeld = state.table.tryHold(key, state.lastTicket, for: operation, now: now)
            return (isHeld ? state.lastTicket : nil, state.table.count > count)
        }
        if isNew { observer.userLockCreated() }
        if ticket != nil { observer.userLockWaited(.zero) }
        return ticket
    }

    /// Gives the lock back; joiners of a flight get `outcome`.
    func finish(_ key: LeaseKey, _ ticket: Ticket, with outcome: Outcome? = nil) {
        let now = runtime.time.now()
        let (handover, wakeUps) = state.withLock { state in
            let handover = state.table.finish(key, ticket, now: now)
            var wakeUps: [(CheckedContinuation<Signal, Never>, Signal)] = []
            for settled in handover.settled {
                guard let outcome else { preconditionFailure("a flight ended without an outcome") }
                Self.settle(settled, .shared(outcome), in: &state, wakeUps: &wakeUps)
            }
            if let next = handover.granted { Self.settle(next, .granted, in: &state, wakeUps: &wakeUps) }
            return (handover, wakeUps)
        }
        observer.userLockHeld(handover.held)
        if handover.removed { observer.userLockRemoved() }
        // Outside the mutex: a resumed task may run at once and come back.
        for (continuation, signal) in wakeUps { continuation.resume(returning: signal) }
    }

    /// Nobody joins the flight of `key` any more.
    func fence(_ key: LeaseKey) {
        state.withLock { $0.table.fence(key) }
    }

    /// Whether the flight of `ticket` was fenced.
    func isFenced(_ key: LeaseKey, _ ticket: Ticket) -> Bool {
        state.withLock { $0.table.isFenced(key, ticket) }
    }

    /// Whether somebody works on `key`.
    func isHeld(_ key: LeaseKey) -> Bool {
        state.withLock { $0.table.isHeld(key) }
    }

    /// Who works on `key`; `nil` if nobody does.
    func hold(of key: LeaseKey) -> UserLockHold? {
        let now = runtime.time.now()
        return state.withLock { $0.table.hold(of: key, now: now) }
    }

    var count: Int { state.withLock { $0.table.count } }

    func gauges() -> UserLockGauges {
        let now = runtime.time.now()
        return state.withLock { $0.table.gauges(now: now) }
    }

    private func wait(_ key: LeaseKey, _ ticket: Ticket, until deadline: MonotonicInstant) async -> Signal {
        let timer = runtime.alarm("user lock deadline", at: deadline) { self.giveUp(key, ticket, .timedOut) }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = state.withLock { state -> Signal? in
                    if let signal = state.early.removeValue(forKey: ticket) { return signal }
                    state.waiting[ticket] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            giveUp(key, ticket, .cancelled)
        }
    }

    private func giveUp(_ key: LeaseKey, _ ticket: Ticket, _ signal: Signal) {
        let wakeUps = state.withLock { state in
            var wakeUps: [(CheckedContinuation<Signal, Never>, Signal)] = []
            // A signal that waits to be heard stands: whoever was granted the lock must learn of it, or it stays held.
            guard state.early[ticket] == nil, state.table.leave(key, ticket) else { return wakeUps }
            Self.settle(ticket, signal, in: &state, wakeUps: &wakeUps)
            return wakeUps
        }
        for (continuation, signal) in wakeUps { continuation.resume(returning: signal) }
    }

    private func entrance(
        _ signal: Signal,
        _ ticket: Ticket,
        start: MonotonicInstant
    ) throws(ManagerError) -> Entrance {
        let waited = runtime.time.now() - start
        switch signal {
        case .granted:
            observer.userLockWaited(waited)
            return .granted(ticket)
        case .shared(let outcome):
            observer.userLockWaited(waited)
            return .shared(outcome)
        case .timedOut:
            observer.userLockWaitTimedOut()
            throw .timedOut(operation: .request, after: waited)
        case .cancelled:
            throw .cancelled
        }
    }

    private static func settle(
        _ ticket: Ticket,
        _ signal: Signal,
        in state: inout State,
        wakeUps: inout [(CheckedContinuation<Signal, Never>, Signal)]
    ) {
        if let continuation = state.waiting.removeValue(forKey: ticket) {
            wakeUps.append((continuation, signal))
        } else {
            state.early[ticket] = signal
        }
    }
}
