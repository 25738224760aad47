import Glibc
import LoopThread
import Synchronization
import TestSupport

/// A peer that answers commands as a test says, on a loopback port.
final class ScriptedRedis: Sendable {
    struct Request: Sendable {
        /// The command in capitals and its arguments.
        let words: [String]
        /// Counts connections from 1.
        let connection: Int
        let arrivedAt: ContinuousClock.Instant
    }

    enum Behaviour: Sendable {
        case reply(String)
        /// No reply; later commands are still read.
        case silence
        /// Replies when the gate is opened; later commands wait.
        case replyAfter(Gate, String)
        case close
    }

    private struct State {
        var requests: [Request] = []
        var sockets: [Int32] = []
        var connections = 0
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let script: @Sendable (Request) -> Behaviour
    private let state = Mutex(State())

    /// - Parameter script: Decides on each command; PING is always answered.
    /// - Throws: Without descriptors or threads.
    init(_ script: @escaping @Sendable (Request) -> Behaviour) throws {
        let listener = try LoopbackListener()
        self.listener = listener.descriptor
        port = listener.port
        self.script = script
        try SystemThread.start(name: "scripted-redis") { [self] in accept() }
    }

    /// Everything that was asked but for PING.
    var requests: [Request] { state.withLock { $0.requests } }

    var connectionCount: Int { state.withLock { $0.connections } }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func accept() {
        defer { close(listener) }
        while true {
            let socket = accept4(listener)
            guard socket >= 0 else { return }
            let number: Int? = state.withLock { state in
                guard !state.isStopped else { return nil }
                state.connections += 1
                state.sockets.append(socket)
                return state.connections
            }
            guard let number else {
                close(socket)
                return
            }
            try? SystemThread.start(name: "scripted-conn") { [self] in
                serve(socket, number)
                state.withLock { state in state.sockets.removeAll { $0 == socket } }
                close(socket)
            }
        }
    }

    private func accept4(_ listener: Int32) -> Int32 {
        let socket = Glibc.accept(listener, nil, nil)
        if socket >= 0 { _ = fcntl(socket, F_SETFD, FD_CLOEXEC) }
        return socket
    }

    private func serve(_ socket: Int32, _ number: Int) {
        let reader = CommandReader(socket)
        while var words = reader.next() {
            words[0] = words[0].uppercased()
            if words[0] == "PING" {
                send("+PONG\r\n", socket)
                continue
            }
            let request = Request(words: words, connection: number, arrivedAt: .now)
            state.withLock { $0.requests.append(request) }
            switch script(request) {
            case .reply(let text): send(text, socket)
            case .silence: break
            case .replyAfter(let gate, let text):
                gate.pass()
                send(text, socket)
            case .close: return
            }
        }
    }

    private func send(_ text: String, _ socket: Int32) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

/// Takes commands out of a stream of bytes. Confined to its connection's thread.
private final class CommandReader {
    private let socket: Int32
    private var buffer: [UInt8] = []
    private var position = 0

    init(_ socket: Int32) {
        self.socket = socket
    }

    func next() -> [String]? {
        guard let count = number(after: UInt8(ascii: "*")), count > 0 else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard let length = number(after: UInt8(ascii: "$")), let bytes = take(length + 2) else { return nil }
            words.append(String(decoding: bytes.dropLast(2), as: UTF8.self))
        }
        return words
    }

    private func number(after marker: UInt8) -> Int? {
        guard take(1)?.first == marker else { return nil }
        var digits: [UInt8] = []
        while let byte = take(1)?.first {
            if byte == UInt8(ascii: "\r") {
                _ = take(1)
                return Int(String(decoding: digits, as: UTF8.self))
            }
            digits.append(byte)
        }
        return nil
    }

    private func take(_ count: Int) -> [UInt8]? {
        while buffer.count - position < count {
            buffer.removeFirst(position)
            position = 0
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let received = recv(socket, &bytes, bytes.count, 0)
            guard received > 0 else { return nil }
            buffer.append(contentsOf: bytes[..<received])
        }
        defer { position += count }
        return Array(buffer[position..<position + count])
    }
}

/// Holds threads until it is opened.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)

    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    /// Blocks the calling thread, which must be one of our own.
    func pass() {
        while !isOpen.load(ordering: .sequentiallyConsistent) { usleep(1000) }
    }
}
