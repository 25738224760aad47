internal import Glibc

/// One accepted connection: reads requests and writes answers, blocking its own thread.
///
/// A class so that ``FakeListener`` can shut it down from another thread while it reads.
final class FakeConnection: Sendable {
    private static let longestHead = 64 << 10
    private static let longestBody = 16 << 20

    let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var on: Int32 = 1
        setsockopt(descriptor, IPPROTO_TCP_LEVEL, TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    /// Ends every read and write; the descriptor stays ours until nobody holds this object.
    func shutDown() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    // MARK: Reading

    /// The next request; `nil` at the end of the connection or when it makes no sense. What was read and not used yet
    /// stays in `buffer`.
    func read(_ buffer: inout [UInt8]) -> FakeRequest? {
        let separator = Array("\r\n\r\n".utf8)
        var end = find(separator, in: buffer)
        while end == nil {
            guard buffer.count < Self.longestHead, fill(&buffer) else { return nil }
            end = find(separator, in: buffer)
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<end], as: UTF8.self).split(separator: "\r\n").map(String.init)
        buffer.removeFirst(end + separator.count)
        let words = lines.first?.split(separator: " ").map(String.init) ?? []
        guard words.count == 3 else { return nil }
        var request = FakeRequest(method: words[0], target: words[1])
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].trimmingSpaces()
            request.headers[line[..<colon].lowercased()] = value
        }
        if request.headers["expect"] != nil { _ = write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
        guard let body = readBody(request.headers, &buffer) else { return nil }
        request.body = body
        return request
    }

    private func readBody(_ headers: [String: String], _ buffer: inout [UInt8]) -> [UInt8]? {
        guard headers["transfer-encoding"]?.lowercased() != "chunked" else { return readChunks(&buffer) }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        return (0...Self.longestBody).contains(length) ? take(length, &buffer) : nil
    }

    private func readChunks(_ buffer: inout [UInt8]) -> [UInt8]? {
        var body: [UInt8] = []
        while let line = takeLine(&buffer) {
            guard let length = Int(line.prefix { $0 != ";" }, radix: 16), body.count + length <= Self.longestBody
            else { return nil }
            if length == 0 {
                // Trailers end with an empty line.
                while let trailer = takeLine(&buffer), !trailer.isEmpty {}
                return body
            }
            guard let chunk = take(length, &buffer), takeLine(&buffer) == "" else { return nil }
            body += chunk
        }
        return nil
    }

    private func take(_ count: Int, _ buffer: inout [UInt8]) -> [UInt8]? {
        while buffer.count < count { guard fill(&buffer) else { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private func takeLine(_ buffer: inout [UInt8]) -> String? {
        var end = find([13, 10], in: buffer)
        while end == nil {
            guard buffer.count < Self.longestBody, fill(&buffer) else { return nil }
            end = find([13, 10], in: buffer)
        }
        guard let end else { return nil }
        defer { buffer.removeFirst(end + 2) }
        return String(decoding: buffer[..<end], as: UTF8.self)
    }

    private func fill(_ buffer: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer.append(contentsOf: chunk.prefix(count))
        return true
    }

    private func find(_ pattern: [UInt8], in buffer: [UInt8]) -> Int? {
        guard buffer.count >= pattern.count else { return nil }
        return (0...buffer.count - pattern.count).first { buffer[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }

    // MARK: Writing

    /// Writes everything; false if the peer is gone.
    func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Waits until the peer closes, or somebody shuts the connection down.
    func waitForEnd() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while recv(descriptor, &chunk, chunk.count, 0) > 0 {}
    }

    /// Whether the peer is still there `milliseconds` later.
    func isOpen(after milliseconds: Int) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLRDHUP), revents: 0)
        return poll(&entry, 1, Int32(clamping: milliseconds)) == 0
    }
}

/// Glibc's `IPPROTO_TCP` is an enumeration in C, whose shape in Swift differs from what `setsockopt` takes.
private let IPPROTO_TCP_LEVEL: Int32 = 6
/// From `sys/poll.h`, which Swift does not import: the peer closed its side.
private let POLLRDHUP = 0x2000

extension Substring {
    fileprivate func trimmingSpaces() -> String {
        var text = self
        while text.first == " " || text.first == "\t" { text = text.dropFirst() }
        while text.last == " " || text.last == "\t" { text = text.dropLast() }
        return String(text)
    }
}
