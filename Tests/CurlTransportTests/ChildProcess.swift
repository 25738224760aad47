import Glibc

/// A program that a test starts and ends, found through `PATH`.
struct ChildProcess {
    struct StartError: Error {
        let code: Int32
    }

    let pid: pid_t
    /// The read end of its standard output and standard error.
    private let output: Int32

    /// Whether `PATH` has a program of that name.
    static func exists(_ program: String) -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }

    init(_ arguments: [String], directory: String? = nil) throws {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw StartError(code: errno) }
        for descriptor in pipes { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 2)
        var argv = arguments.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var pid = pid_t()
        let code = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, environ)
        close(pipes[1])
        guard code == 0 else {
            close(pipes[0])
            throw StartError(code: code)
        }
        self.pid = pid
        output = pipes[0]
    }

    /// Reads its output up to a line that starts with `prefix`, and returns the rest of that line; nil at its end.
    func line(after prefix: String) -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1 {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix(prefix) { return String(text.dropFirst(prefix.count)) }
            line = []
        }
        return nil
    }

    /// Waits for its end and returns its exit status, reading what it still prints.
    @discardableResult
    func wait() -> Int32 {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while read(output, &bytes, bytes.count) > 0 {}
        close(output)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
    }

    func end() {
        kill(pid, SIGKILL)
        wait()
    }

    /// The port that the process listens on; nil if it does not, or not yet.
    var listeningPort: Int? {
        let inodes = socketInodes
        for table in ["tcp", "tcp6"] {
            guard let file = fopen("/proc/\(pid)/net/\(table)", "r") else { continue }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 512)
            while fgets(&line, Int32(line.count), file) != nil {
                let text = line.withUnsafeBufferPointer { buffer in
                    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                }
                let words = text.split(separator: " ")
                // sl, local address, remote address, state (0A: listening), …, inode in the tenth column.
                guard words.count > 9, words[3] == "0A", inodes.contains(String(words[9])) else { continue }
                return words[1].split(separator: ":").last.flatMap { Int($0, radix: 16) }
            }
        }
        return nil
    }

    private var socketInodes: Set<String> {
        guard let directory = opendir("/proc/\(pid)/fd") else { return [] }
        defer { closedir(directory) }
        var found: Set<String> = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var target = [UInt8](repeating: 0, count: 128)
            let count = target.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { readlink("/proc/\(pid)/fd/\(name)", $0, buffer.count) } ?? -1
            }
            guard count > 0 else { continue }
            let text = String(decoding: target.prefix(count), as: UTF8.self)
            if text.hasPrefix("socket:[") { found.insert(String(text.dropFirst(8).dropLast())) }
        }
        return found
    }
}
