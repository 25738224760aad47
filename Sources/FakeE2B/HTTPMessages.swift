/// A request as the fake received it.
struct FakeRequest: Sendable {
    var method: String
    /// Path and query as they were sent.
    var target: String
    /// Lower-case names; of equal ones the last.
    var headers: [String: String] = [:]
    var body: [UInt8] = []

    var path: String { String(target.prefix { $0 != "?" }) }

    /// The raw query parameters in order, undecoded.
    var rawQuery: [(String, String)] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return target[target.index(after: mark)...].split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
    }

    /// One parameter, decoded once; `nil` if absent.
    func query(_ name: String) throws(FakeFailure) -> String? {
        guard let raw = rawQuery.first(where: { $0.0 == name })?.1 else { return nil }
        return try PercentEncoding.decode(raw)
    }

    var json: JSONValue? { JSONValue(body) }
}

/// What the fake answers.
struct FakeReply: Sendable {
    var status: Int
    var headers: [(String, String)] = []
    var body: [UInt8] = []

    static func json(_ status: Int, _ value: JSONValue, _ headers: [(String, String)] = []) -> FakeReply {
        FakeReply(status: status, headers: [("Content-Type", "application/json")] + headers, body: value.bytes)
    }

    static func text(_ status: Int, _ text: String) -> FakeReply {
        FakeReply(status: status, headers: [("Content-Type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }

    static let noContent = FakeReply(status: 204)

    /// The message as it goes over the wire.
    var head: [UInt8] {
        var lines = "HTTP/1.1 \(status) \(status < 400 ? "OK" : "Error")\r\n"
        for (name, value) in headers { lines += "\(name): \(value)\r\n" }
        if status != 204 { lines += "Content-Length: \(body.count)\r\n" }
        return Array((lines + "\r\n").utf8)
    }
}

/// An error of the control plane, in its own shape.
struct FakeFailure: Error {
    var status: Int
    var message: String
    var code: String?
    var headers: [(String, String)] = []

    init(_ status: Int, _ message: String, code: String? = nil, headers: [(String, String)] = []) {
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers
    }

    static func unknown(_ id: String) -> FakeFailure {
        FakeFailure(404, "Sandbox \"\(id)\" doesn't exist or you don't have access to it")
    }

    var reply: FakeReply {
        var body: [String: JSONValue] = ["code": .int(status), "message": .text(message)]
        if let code { body["error_code"] = .text(code) }
        return .json(status, .object(body), headers)
    }
}

/// Percent-encoding as Go's `url.QueryUnescape` reads it.
enum PercentEncoding {
    static func decode(_ text: String) throws(FakeFailure) -> String {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "%"):
                guard index + 2 < bytes.count,
                    let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
                else { throw FakeFailure(400, "invalid URL escape in \"\(text)\"") }
                decoded.append(value)
                index += 3
            case UInt8(ascii: "+"):
                decoded.append(UInt8(ascii: " "))
                index += 1
            case let byte:
                decoded.append(byte)
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
