import CLocalSandbox
import Glibc
import Testing

/// sandbox-init by itself, on the host, without a sandbox around it: what does it do with whatever comes?
@Suite(.timeLimit(.minutes(1)))
struct SupervisorTests {
    /// A running sandbox-init and our end of its socket.
    private struct Supervisor {
        let pid: Int32
        let socket: Int32

        init() throws {
            var ours: Int32 = -1
            var theirs: Int32 = -1
            try #require(cls_socketpair(&ours, &theirs) == 0)
            let null = cls_open_read("/dev/null")
            let path = "\(buildDirectory())/sandbox-init"
            var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), nil]
            defer { free(arguments[0]) }
            pid = cls_spawn(path, &arguments, [null, null, null, theirs], 4)
            socket = ours
            cls_close(theirs)
            cls_close(null)
            try #require(pid > 0)
        }

        func send(_ bytes: [UInt8], _ descriptors: [Int32] = []) -> Int64 {
            cls_send(socket, bytes, bytes.count, descriptors, Int32(descriptors.count))
        }

        /// Sends as soon as there is room; `false` when it died.
        func deliver(_ bytes: [UInt8], _ descriptors: [Int32] = []) async -> Bool {
            var sent: Int64 = 0
            _ = await eventually {
                sent = send(bytes, descriptors)
                return sent != -Int64(EAGAIN)
            }
            return sent >= 0
        }

        func receive() -> [UInt8] {
            _ = cls_wait_readable(socket, 10_000)
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = cls_receive(socket, &buffer, buffer.count)
            return Array(buffer[..<max(0, Int(count))])
        }

        func ping(_ number: UInt8) -> Bool {
            _ = send([UInt8(SANDBOX_PING), 0, 0, 0, number, 0, 0, 0])
            // Replies to what came before may still be under way.
            for _ in 0..<1000 {
                let reply = receive()
                if reply.isEmpty { return false }
                if reply == [UInt8(SANDBOX_PONG), 0, 0, 0, number, 0, 0, 0] { return true }
            }
            return false
        }

        func end() {
            cls_close(socket)
            waitpid(pid, nil, 0)
        }
    }

    @Test(arguments: 0..<10)
    func `garbage on its socket does not end it`(seed: UInt64) async throws {
        let supervisor = try Supervisor()
        defer { supervisor.end() }
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func random() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let null = cls_open_read("/dev/null")
        defer { cls_close(null) }
        for _ in 0..<200 {
            let length = Int(random() % (random() % 8 == 0 ? 100_000 : 64)) + 1
            var bytes = (0..<min(length, 64)).map { _ in UInt8(truncatingIfNeeded: random()) }
            bytes += Array(repeating: UInt8(truncatingIfNeeded: random()), count: length - bytes.count)
            // Not SETUP: it must get no life, and so run nothing.
            bytes[0] = [UInt8(SANDBOX_RUN), UInt8(SANDBOX_KILL), UInt8(SANDBOX_PING), bytes[0]][Int(random() % 4)]
            if bytes[0] == UInt8(SANDBOX_SETUP) || bytes[0] == UInt8(SANDBOX_LIFE) { bytes[0] = 0 }
            let descriptors = Array(repeating: null, count: Int(random() % 9))
            #expect(await supervisor.deliver(bytes, descriptors))
            while cls_wait_readable(supervisor.socket, 0) == 1 { _ = supervisor.receive() }
        }
        #expect(supervisor.ping(7))
    }

    @Test func `messages that are cut short or have no descriptors are ignored`() async throws {
        let supervisor = try Supervisor()
        defer { supervisor.end() }
        for kind in [SANDBOX_SETUP, SANDBOX_RUN, SANDBOX_KILL, SANDBOX_PING, SANDBOX_LIFE] {
            for length in 1..<12 where length < 8 || kind != SANDBOX_PING {
                #expect(await supervisor.deliver([UInt8(kind)] + Array(repeating: 0, count: length - 1)))
            }
        }
        #expect(supervisor.ping(9))
    }

    @Test func `descriptors that come with garbage are closed again`() async throws {
        let supervisor = try Supervisor()
        defer { supervisor.end() }
        #expect(supervisor.ping(1))
        let before = readDirectory("/proc/\(supervisor.pid)/fd").count
        let null = cls_open_read("/dev/null")
        defer { cls_close(null) }
        for kind in [UInt8(SANDBOX_RUN), UInt8(SANDBOX_KILL), 0] {
            for count in [1, 3, 8] {
                #expect(await supervisor.deliver([kind, 1, 2], Array(repeating: null, count: count)))
            }
        }
        #expect(supervisor.ping(2))
        #expect(readDirectory("/proc/\(supervisor.pid)/fd").count == before)
    }

    @Test func `it ends when its socket closes`() throws {
        let supervisor = try Supervisor()
        #expect(supervisor.ping(1))
        cls_close(supervisor.socket)
        var status: Int32 = -1
        #expect(waitpid(supervisor.pid, &status, 0) == supervisor.pid)
        #expect(status == 0)
    }
}
