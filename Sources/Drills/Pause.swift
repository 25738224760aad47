/// Ways to wait.
enum Pause {
    /// Also in a task that was cancelled: for ending what was started.
    static func always(_ duration: Duration) async {
        await Task.detached { try? await Task.sleep(for: duration) }.value
    }

    /// Asks until there is an answer.
    ///
    /// - Throws: ``DrillError`` after `limit`; `CancellationError`.
    static func until<Value>(
        _ what: @autoclosure () -> String,
        within limit: Duration,
        every pause: Duration = .milliseconds(50),
        _ ask: () async throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        while true {
            if let answer = try await ask() { return answer }
            guard ContinuousClock.now < deadline else { throw DrillError("\(what()): not within \(limit)") }
            try await Task.sleep(for: pause)
        }
    }
}
