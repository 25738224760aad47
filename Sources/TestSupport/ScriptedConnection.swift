import Glibc

/// One connection of a `ScriptedHTTPServer`, confined to its thread.
final class ScriptedConnection {
    private let socket: Int32
    private let number: Int
    private let server: ScriptedHTTPServer
    private var buffer: [UInt8] = []

    init(socket: Int32, number: Int, server: ScriptedHTTPServer) {
        self.socket = socket
        self.number = number
        self.server = server
    }

    func run() {
        defer { server.unregister(socket) }
        var count = 0
        while let request = readRequest(count + 1) {
            count += 1
            server.record(request)
            guard perform(server.script(request), isHead: request.method == "HEAD") else { return }
        }
    }

    /// Waits for the first bytes and resets the connection.
    func reset() {
        _ = receive()
        resetOnClose()
        server.unregister(socket)
    }

    private func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// - Returns: Whether to go on with the connection.
    private func perform(_ behaviour: ScriptedHTTPServer.Behaviour, isHead: Bool) -> Bool {
        switch behaviour {
        case .reply(let status, let headers, let body):
            var head = "HTTP/1.1 \(status) Scripted\r\n"
            for (name, value) in headers { head += "\(name): \(value)\r\n" }
            if status != 204 { head += "Content-Length: \(body.count)\r\n" }
            return send(Array((head + "\r\n").utf8) + (isHead ? [] : body))
        case .bytes(let bytes):
            return send(bytes)
        case .hang:
            waitForHangUp()
            return false
        case .drip(let interval):
            guard send(Array("HTTP/1.1 200 Scripted\r\nContent-Length: 1000000\r\n\r\n".utf8)) else { return false }
            while !isHungUp(within: interval) {
                guard send([UInt8(ascii: ".")]) else { return false }
            }
            return false
        case .reset:
            resetOnClose()
            return false
        case .close:
            return false
        case .bytesThenClose(let bytes):
            _ = send(bytes)
            return false
        case .huge(let count, let announced):
            return sendHuge(count, announced: announced)
        }
    }

    private func sendHuge(_ count: Int, announced: Bool) -> Bool {
        let framing = announced ? "Content-Length: \(count)" : "Transfer-Encoding: chunked"
        guard send(Array("HTTP/1.1 200 Scripted\r\n\(framing)\r\n\r\n".utf8)) else { return false }
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
        let chunk = announced ? piece : Array("10000\r\n".utf8) + piece + Array("\r\n".utf8)
        for _ in 0..<(count >> 16) {
            guard send(chunk) else { return false }
        }
        return announced ? true : send(Array("0\r\n\r\n".utf8))
    }

    private func readRequest(_ numberOnConnection: Int) -> ScriptedHTTPServer.Request? {
        let end = Array("\r\n\r\n".utf8)
        var searched = 0
        while true {
            if let index = buffer.indices.dropFirst(searched).first(where: { buffer[$0...].starts(with: end) }) {
                let head = String(decoding: buffer[..<index], as: UTF8.self)
                buffer.removeFirst(index + end.count)
                return parse(head, numberOnConnection)
            }
            searched = max(0, buffer.count - end.count)
            guard receive() else { return nil }
        }
    }

    private func parse(_ head: String, _ numberOnConnection: Int) -> ScriptedHTTPServer.Request? {
        // "\r\n" is one Character.
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3 else { return nil }
        var request = ScriptedHTTPServer.Request(
            method: String(words[0]),
            path: String(words[1]),
            headers: [],
            body: [],
            connection: number,
            numberOnConnection: numberOnConnection
        )
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            request.headers.append((line[..<colon].lowercased(), String(value)))
        }
        let length = request.header("content-length").flatMap { Int($0) } ?? 0
        while buffer.count < length {
            guard receive() else { return nil }
        }
        request.body = Array(buffer.prefix(length))
        buffer.removeFirst(length)
        return request
    }

    private func receive() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let count = recv(socket, &bytes, bytes.count, 0)
        guard count > 0 else { return false }
        buffer.append(contentsOf: bytes[..<count])
        return true
    }

    private func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { buffer in
                Glibc.send(socket, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func waitForHangUp() {
        var bytes = [UInt8](repeating: 0, count: 1 << 12)
        while recv(socket, &bytes, bytes.count, 0) > 0 {}
    }

    private func isHungUp(within interval: Duration) -> Bool {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        let (seconds, attoseconds) = interval.components
        return poll(&entry, 1, Int32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)) > 0
    }
}
