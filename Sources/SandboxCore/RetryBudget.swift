/// How many retries there may be, as a share of the work: when everything fails, retries must not multiply the load.
///
/// A pure value, counted in tenths. Every first attempt adds a tenth of a retry, up to a cap; every retry takes a whole
/// one. So in the long run at most one call in ten is a retry, and a short trouble is bridged from what was saved.
struct RetryBudget: Equatable {
    /// The most retries that are saved up.
    static let cap = 10
    private static let tenths = 10

    private var balance = cap * tenths

    /// Retries that may be made now.
    var retries: Int { balance / Self.tenths }

    /// A first attempt is made.
    mutating func deposit() { balance = min(balance + 1, Self.cap * Self.tenths) }

    /// A retry is to be made.
    ///
    /// - Returns: Whether there may be one.
    mutating func withdraw() -> Bool {
        guard balance >= Self.tenths else { return false }
        balance -= Self.tenths
        return true
    }
}
