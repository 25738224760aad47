/// Upper bounds of the histograms, in seconds.
enum Buckets {
    /// Operations, provider calls, HTTP requests.
    static let calls: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// Waiting for locks and holding them.
    static let locks: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
    ]
    /// Redis commands.
    static let redis = locks
    /// How long leases live.
    static let leases: [Double] = [1, 10, 60, 300, 600, 900, 1800, 3600, 14400]
}
