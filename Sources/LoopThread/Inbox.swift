import Synchronization

/// What other threads leave for a loop thread: any number of writers, one reader.
///
/// A message is either refused by `post(_:)` or seen by the reader: once `take()` has said that the inbox is closed,
/// no later message exists. That is what lets a loop answer every caller before it ends.
public final class Inbox<Message: Sendable>: Sendable {
    /// Everything that was waiting at one moment, oldest first.
    public struct Batch: Sendable {
        /// The messages, oldest first; may be empty.
        public var messages: [Message]
        /// True when the inbox is closed and these are the last messages it will ever give.
        public var isLast: Bool
    }

    private struct State {
        var messages: [Message] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wake: @Sendable () -> Void

    /// Makes an empty, open inbox.
    ///
    /// - Parameter wake: Interrupts the reader's wait, from any thread. The signal must not get lost when the
    ///   reader is not waiting at that moment: its next wait has to end at once. Called without any lock held, once
    ///   per batch and once for closing, and possibly after the reader has ended.
    public init(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    /// Leaves a message and wakes the reader if it may be waiting.
    ///
    /// - Returns: False if the inbox is closed; the message is then dropped and the caller must answer for it.
    public func post(_ message: Message) -> Bool {
        let (accepted, isFirst) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed else { return (false, false) }
            state.messages.append(message)
            return (true, state.messages.count == 1)
        }
        // The reader takes all messages at once, so only the first one after a take has to wake it.
        if isFirst { wake() }
        return accepted
    }

    /// Refuses messages from now on and wakes the reader; does nothing when called again.
    public func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { wake() }
    }

    /// Takes everything that is waiting, without blocking; for the loop's own thread.
    public func take() -> Batch {
        state.withLock { state in
            var taken: [Message] = []
            swap(&taken, &state.messages)
            return Batch(messages: taken, isLast: state.isClosed)
        }
    }
}
