internal import FoundationEssentials

// What goes over the wire. Unknown fields are ignored; only what is needed is required.

/// The body of a create.
struct CreateBody: Encodable {
    var templateID: String
    var timeout: Int
    /// Always sent: a sandbox that pauses by itself would be kept and paid for without end.
    var autoPause = false
    /// Only before v2, where it is always on.
    var secure: Bool?
    var metadata: [String: String]
    var envVars: [String: String]
}

/// The body of connect and timeout calls.
struct TimeoutBody: Encodable {
    var timeout: Int
}

/// The reply to create and connect.
struct SandboxReply: Decodable {
    var sandboxID: String
    var templateID: String?
    var domain: String?
    var envdAccessToken: String?
    var trafficAccessToken: String?
}

/// A sandbox as GET and listings describe it.
struct DetailReply: Decodable {
    var sandboxID: String
    var templateID: String?
    var domain: String?
    var envdAccessToken: String?
    var trafficAccessToken: String?
    var startedAt: String
    var endAt: String
    var state: String?
    var metadata: [String: String]?
}

/// An error body of the control plane or the proxy. The agent's own errors have a word for a code.
struct ErrorReply: Decodable {
    var code: Int
    var message: String
    var errorCode: String?

    private enum CodingKeys: String, CodingKey {
        case code, message
        case errorCode = "error_code"
    }
}

/// Reading and writing bodies.
enum JSON {
    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }

    /// Our own bodies are strings, numbers and flags: they can always be written.
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("a request body cannot be encoded") }
        return Array(data)
    }

    static func base64(_ text: String) -> [UInt8]? {
        Data(base64Encoded: text).map(Array.init)
    }
}
