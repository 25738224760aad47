internal import Glibc

/// Where programs and system directories are on this machine.
enum SystemPaths {
    /// `bwrap` as configured or found on the `PATH`; `nil` if there is none to be run.
    static func bubblewrap(_ configuration: LocalProviderConfiguration) -> String? {
        if let path = configuration.bwrapPath { return isExecutable(path) ? path : nil }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/bwrap" }.first(where: isExecutable)
    }

    /// `sandbox-init` as configured or beside the running executable, whether or not it is there.
    static func supervisor(_ configuration: LocalProviderConfiguration) -> String {
        configuration.initPath ?? "\(executableDirectory())/sandbox-init"
    }

    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// What a symbolic link names; `nil` for anything else.
    static func linkTarget(_ path: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let length = readlink(path, start, buffer.count)
            guard length > 0, length < buffer.count else { return nil }
            return String(decoding: UnsafeRawBufferPointer(buffer)[..<length], as: UTF8.self)
        }
    }

    /// The first line of a small file under `/proc`, without its end; `nil` if there is no such file.
    static func line(of path: String) -> String? {
        guard let bytes = contents(of: path, limit: 4096) else { return nil }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// A whole file; `nil` if it cannot be read or is longer than `limit`.
    static func contents(of path: String, limit: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        return withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { buffer in
            while true {
                let count = read(descriptor, buffer.baseAddress, buffer.count)
                guard count >= 0, bytes.count + count <= limit else { return nil }
                guard count > 0 else { return bytes }
                bytes += buffer[..<count]
            }
        }
    }

    private static func executableDirectory() -> String {
        guard let path = linkTarget("/proc/self/exe"), let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }
}
