internal import Glibc

/// Makes sure that a full house does not run out of file descriptors.
enum FileDescriptorBudget {
    /// Descriptors for everything else in the process: other listeners, Redis, outgoing calls, child processes.
    private static let reserve = 512

    /// Raises the soft limit as far as needed and allowed.
    ///
    /// - Returns: What the operator should know, in words.
    static func prepare(maxConnections: Int) -> [String] {
        let needed = maxConnections + reserve
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return ["the limit of open files could not be read (errno \(errno))"]
        }
        if limit.rlim_cur >= rlim_t(needed) { return [] }
        var raised = limit
        raised.rlim_cur = min(limit.rlim_max, rlim_t(needed))
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        if limit.rlim_cur >= rlim_t(needed) { return [] }
        return [
            "\(maxConnections) connections need about \(needed) file descriptors, but the limit is \(limit.rlim_cur)"
        ]
    }
}
