internal import CLocalSandbox
internal import Glibc

/// Everything that is the same for each sandbox: the command line of bubblewrap and the files it copies in.
///
/// The files are held in memory, so that they can be read whatever user the sandbox runs as and wherever they came
/// from, and so that no path of the host shows in the sandbox's table of mounts.
final class LaunchKit {
    /// A started sandbox: descriptors that its owner has to close, and a child that it has to reap.
    struct Launched {
        let process: Int32
        let processDescriptor: Int32
        let socket: Int32
        let errors: Int32
    }

    /// Why a sandbox could not be started.
    struct Failure: Error {
        var detail: String
    }

    private static let firstDataDescriptor = 4

    private let supervisorPath: String
    private let arguments: [String]
    private let null: Int32
    private let files: [Int32]

    init(_ configuration: LocalProviderConfiguration) throws(Failure) {
        guard let bubblewrap = SystemPaths.bubblewrap(configuration) else {
            throw Failure(detail: "bubblewrap (bwrap) was not found or may not be run")
        }
        supervisorPath = SystemPaths.supervisor(configuration)
        guard let supervisor = SystemPaths.contents(of: supervisorPath, limit: 64 << 20) else {
            throw Failure(detail: "sandbox-init cannot be read at \(supervisorPath)")
        }
        let contents = [("/sandbox-init", supervisor)] + Self.generatedFiles(hostName: configuration.hostName)
        null = cls_open_read("/dev/null")
        var files: [Int32] = []
        for (path, bytes) in contents {
            let descriptor = bytes.withUnsafeBytes { cls_memory_file(path, $0.baseAddress, $0.count) }
            files.append(descriptor)
        }
        self.files = files
        arguments =
            [supervisorPath, "--launch"] + Self.identity(configuration)
            + [bubblewrap] + Self.isolation(configuration)
            + Self.systemDirectories() + Self.dataFiles(contents.map(\.0)) + Self.writableDirectories(configuration)
            + ["--as-pid-1", "--", "/sandbox-init"]
        guard null >= 0, files.allSatisfy({ $0 >= 0 }) else {
            throw Failure(detail: "cannot keep sandbox-init in memory: out of descriptors or memory")
        }
    }

    deinit {
        for descriptor in files + [null] where descriptor >= 0 { cls_close(descriptor) }
    }

    /// Starts a sandbox. Blocks for the milliseconds that making a process takes.
    func launch() throws(Failure) -> Launched {
        var opened: [Int32] = []
        func keep(_ descriptor: Int32, _ what: String) throws(Failure) -> Int32 {
            guard descriptor >= 0 else { throw Failure(detail: "\(what): \(text(ofError: -descriptor))") }
            opened.append(descriptor)
            return descriptor
        }
        do throws(Failure) {
            var ours: Int32 = -1
            var theirs: Int32 = -1
            let paired = cls_socketpair(&ours, &theirs)
            _ = try keep(paired == 0 ? ours : paired, "cannot make a socket")
            _ = try keep(theirs, "cannot make a socket")
            var reader: Int32 = -1
            var writer: Int32 = -1
            let piped = cls_pipe(&reader, &writer, 1, 0, 0)
            _ = try keep(piped == 0 ? reader : piped, "cannot make a pipe")
            _ = try keep(writer, "cannot make a pipe")
            var descriptors = [null, null, writer, theirs]
            // Opened anew each time: a copy would share its reading position with the sandbox before.
            for file in files { descriptors.append(try keep(cls_reopen(file), "cannot reopen a file in memory")) }
            let process = spawn(descriptors)
            guard process > 0 else {
                throw Failure(detail: "cannot start \(supervisorPath): \(text(ofError: -process))")
            }
            let processDescriptor = cls_pidfd(process)
            guard processDescriptor >= 0 else {
                cls_kill_group(process)
                waitpid(process, nil, 0)
                throw Failure(detail: "cannot watch a process: \(text(ofError: -processDescriptor))")
            }
            for descriptor in opened where descriptor != ours && descriptor != reader { cls_close(descriptor) }
            return Launched(
                process: process,
                processDescriptor: processDescriptor,
                socket: ours,
                errors: reader
            )
        } catch {
            opened.forEach { cls_close($0) }
            throw error
        }
    }

    private func spawn(_ descriptors: [Int32]) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        return cls_spawn(supervisorPath, pointers, descriptors, Int32(descriptors.count))
    }

    // MARK: - The command line

    /// Whom to become: an unprivileged user if we are root, else nobody else.
    private static func identity(_ configuration: LocalProviderConfiguration) -> [String] {
        geteuid() == 0 ? [String(configuration.runAsUser), String(configuration.runAsGroup)] : ["-", "-"]
    }

    private static func isolation(_ configuration: LocalProviderConfiguration) -> [String] {
        [
            "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
            "--unshare-cgroup-try",
            // No further user namespaces inside: they are the usual way to the kernel's less tested corners.
            "--disable-userns",
            "--uid", "1000", "--gid", "1000", "--hostname", configuration.hostName,
            "--cap-drop", "ALL", "--clearenv",
        ]
    }

    /// The programs and libraries of the host, read-only, and nothing of it that could be private.
    private static func systemDirectories() -> [String] {
        var arguments = ["--ro-bind", "/usr", "/usr"]
        for path in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] where SystemPaths.exists(path) {
            if let target = SystemPaths.linkTarget(path) {
                arguments += ["--symlink", target, path]
            } else {
                arguments += ["--ro-bind", path, path]
            }
        }
        let configuration = ["/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs", "/etc/ssl/openssl.cnf"]
        for path in configuration { arguments += ["--ro-bind-try", path, path] }
        return arguments
    }

    private static func dataFiles(_ paths: [String]) -> [String] {
        paths.enumerated().flatMap { index, path in
            let mode = path == "/sandbox-init" ? "0555" : "0444"
            return ["--perms", mode, "--ro-bind-data", String(firstDataDescriptor + index), path]
        }
    }

    private static func writableDirectories(_ configuration: LocalProviderConfiguration) -> [String] {
        let temporary = String(configuration.temporarySizeBytes)
        return [
            "--proc", "/proc",
            // bubblewrap makes /dev and / as unlimited memory file systems that the user owns: both become read-only,
            // and what has to be writable gets a limit.
            "--dev", "/dev", "--size", temporary, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
            "--size", temporary, "--perms", "1777", "--tmpfs", "/tmp",
            "--dir", "/var", "--symlink", "../tmp", "/var/tmp",
            "--size", String(configuration.homeSizeBytes), "--perms", "0700", "--tmpfs", "/home/user",
            "--chdir", "/home/user", "--remount-ro", "/",
        ]
    }

    private static func generatedFiles(hostName: String) -> [(String, [UInt8])] {
        [
            (
                "/etc/passwd",
                "user:x:1000:1000:user:/home/user:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
            ),
            ("/etc/group", "user:x:1000:\nnogroup:x:65534:\n"),
            ("/etc/hosts", "127.0.0.1 localhost \(hostName)\n::1 localhost\n"),
            ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
        ].map { ($0, Array($1.utf8)) }
    }
}

/// The C library's words for an error number.
func text(ofError number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        guard let start = buffer.baseAddress, strerror_r(number, start, buffer.count) == 0 else {
            return "error \(number)"
        }
        return String(cString: start)
    }
}
