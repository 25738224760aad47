/// Decides whether a wait begins by looking again and again for a moment instead of sleeping at once.
///
/// For one caller at a time, falling asleep and being woken costs more than everything else the loop does. Looking pays
/// where the server answers within microseconds, and is waste where it does not; so the past decides.
struct Anticipation {
    /// How long to look. Longer than a local server and a task that goes on need, and still little to lose.
    static let limit = Duration.microseconds(50)

    private static let fullCredit = 8
    /// How many waits begin with sleep, once looking did not pay, before it is tried again.
    private static let pause = 64

    private var credit = 4
    private var skipped = 0

    /// Whether to look first this time.
    mutating func isWorthwhile() -> Bool {
        if credit > 0 { return true }
        skipped += 1
        guard skipped >= Self.pause else { return false }
        skipped = 0
        return true
    }

    /// Notes how looking went.
    mutating func ended(found: Bool) {
        credit = found ? min(credit + 1, Self.fullCredit) : max(credit - 1, 0)
    }
}
