internal import Glibc

/// A redis-server, or sentinel, that a test starts and ends, in a directory of its own.
public final class RedisProcess {
    /// Why it did not start.
    public struct StartError: Error {
        /// In words.
        public let reason: String
    }

    /// Whether there is a redis-server on the path; suites that need one are skipped visibly without.
    public static let isInstalled: Bool = {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").contains { access("\($0)/redis-server", X_OK) == 0 }
    }()

    /// Where its socket, log and data are; removed at the end.
    public let directory: String
    /// Zero if it only has a socket.
    public let port: UInt16
    private let arguments: [String]
    private var pid: pid_t = 0

    /// Starts a server and waits until it takes connections, on its socket and, if asked, a TCP port.
    public init(_ extra: [String] = [], hasPort: Bool = false) async throws {
        directory = try Self.makeDirectory()
        port = hasPort ? try Self.freePort() : 0
        arguments =
            [
                "redis-server", "--port", String(port), "--bind", "127.0.0.1", "--unixsocket",
                "\(directory)/redis.sock",
                "--dir", directory, "--logfile", "\(directory)/log", "--save", "", "--appendonly", "no",
                "--enable-debug-command", "yes",
            ] + extra
        try await start()
    }

    /// Starts a sentinel, which always has a port.
    public init(sentinelFor master: RedisProcess, named name: String, password: String, quorum: Int) async throws {
        directory = try Self.makeDirectory()
        port = try Self.freePort()
        let text = """
            port \(port)
            bind 127.0.0.1
            dir \(directory)
            logfile \(directory)/log
            unixsocket \(directory)/redis.sock
            sentinel monitor \(name) 127.0.0.1 \(master.port) \(quorum)
            sentinel auth-pass \(name) \(password)
            sentinel down-after-milliseconds \(name) 1000
            sentinel failover-timeout \(name) 5000

            """
        guard let file = fopen("\(directory)/sentinel.conf", "w") else { throw StartError(reason: "no file") }
        fputs(text, file)
        fclose(file)
        arguments = ["redis-server", "\(directory)/sentinel.conf", "--sentinel"]
        try await start()
    }

    deinit {
        kill()
        for name in Self.names(in: directory) { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    /// The path of its socket.
    public var socket: String { "\(directory)/redis.sock" }

    /// Starts it again after ``kill()``, on the same data.
    public func start() async throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        var argv = arguments.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        guard posix_spawnp(&pid, arguments[0], &actions, nil, &argv, environ) == 0 else {
            pid = 0
            throw StartError(reason: "no process")
        }
        let path = socket
        guard await eventually({ canConnect(toSocket: path) }) else { throw StartError(reason: "does not listen") }
    }

    /// Ends it as a crash would; a server that is stopped too.
    public func kill() {
        guard pid > 0 else { return }
        Glibc.kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        pid = 0
        unlink(socket)
    }

    /// Makes it hang.
    public func stop() { Glibc.kill(pid, SIGSTOP) }

    /// Ends the hang.
    public func resume() { Glibc.kill(pid, SIGCONT) }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            )
        }
        return names
    }

    private static func makeDirectory() throws -> String {
        var template = Array("/tmp/redis-tests-XXXXXX".utf8CString)
        guard let name = mkdtemp(&template) else { throw StartError(reason: "no directory") }
        return String(cString: name)
    }

    private static func freePort() throws -> UInt16 {
        let listener = try LoopbackListener()
        defer { close(listener.descriptor) }
        return listener.port
    }
}

/// A TCP socket that listens on a free loopback port.
public struct LoopbackListener {
    /// The socket's descriptor; the caller's to close.
    public let descriptor: Int32
    /// Where it listens.
    public let port: UInt16

    /// Listens on a free port of the loopback interface.
    public init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 128) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isListening else { throw RedisProcess.StartError(reason: "no port") }
        port = UInt16(bigEndian: address.sin_port)
    }
}

private func canConnect(toSocket path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
}

extension LoopbackListener {
    /// Closes the socket.
    public func stop() { close(descriptor) }
}
