/// The pauses between attempts to connect: none, then doubling up to a cap, each shortened by a random part.
struct Backoff {
    let initial: Duration
    let maximum: Duration
    /// A connection that ends sooner counts as a failed attempt, so that a server that drops everybody is not hammered.
    static let shortLife = Duration.milliseconds(200)
    private(set) var failures = 0

    init(_ configuration: RedisConfiguration) {
        initial = configuration.initialReconnectDelay
        maximum = configuration.maxReconnectDelay
    }

    mutating func attemptFailed() {
        failures += 1
    }

    mutating func connectionEnded(after life: Duration) {
        failures = life < Self.shortLife ? failures + 1 : 0
    }

    /// - Parameter random: Evenly from 0 to 1.
    /// - Returns: The pause before the next attempt.
    func delay(random: Double) -> Duration {
        guard failures > 0 else { return .zero }
        // 2^20 times any useful start is above any useful cap.
        let longest = min(maximum, initial * (1 << min(failures - 1, 20)))
        return longest * (1 - random / 2)
    }
}
