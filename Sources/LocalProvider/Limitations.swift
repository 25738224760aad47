internal import Glibc

/// What cannot be limited, or not as well as one might think.
enum Limitations {
    static func onThisMachine(_ configuration: LocalProviderConfiguration) -> [String] {
        var limitations = [
            "The memory of a local sandbox is limited for each process (address space) and for its files, "
                + "not for all its processes together.",
            "The number of files in a local sandbox is not limited, only their size.",
            "The processor time of a local sandbox is not limited.",
        ]
        if geteuid() != 0 {
            limitations.append(
                "Local sandboxes run as this daemon's own user on the host; started as root, the daemon gives them "
                    + "a user without any rights."
            )
        }
        if !countsProcessesPerNamespace() {
            limitations.append(
                "This kernel is older than 5.14: it counts the processes of all local sandboxes together."
            )
        }
        return limitations
    }

    private static func countsProcessesPerNamespace() -> Bool {
        let release = SystemPaths.line(of: "/proc/sys/kernel/osrelease") ?? ""
        let parts = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard parts.count == 2 else { return true }
        return (parts[0], parts[1]) >= (5, 14)
    }
}
