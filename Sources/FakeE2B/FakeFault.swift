/// A fault that requests run into.
public struct FakeFault: Sendable, Hashable, Codable {
    /// What goes wrong.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// ``FakeFault/status`` is answered.
        case status
        /// The connection closes without an answer.
        case drop
        /// No answer ever comes; the connection stays open until the client gives up.
        case hang
        /// Everything takes ``FakeFault/milliseconds`` longer.
        case latency
        /// The answer comes at ``FakeFault/bytesPerSecond``.
        case slow
        /// The connection closes in the middle of the answer's body.
        case half
        /// The answer keeps its status and has ``FakeFault/text`` as its body.
        case malformed
        /// What a create makes shows up only after ``FakeFault/milliseconds``; the answer is not affected.
        case late
    }

    /// Which requests: `create`, `get`, `list`, `connect`, `timeout`, `refreshes`, `pause`, `resume`, `kill`, `metrics`,
    /// `health`, `listdir`, `start`, or `*` for all of them.
    public var operation: String
    /// What goes wrong.
    public var kind: Kind
    /// Whether the request takes its effect first.
    public var afterEffect: Bool
    /// The status to answer, for ``Kind/status``.
    public var status: Int
    /// The body to answer; `nil` for an error body of the API's shape.
    public var text: String?
    /// Header fields to answer in addition.
    public var headers: [String: String]
    /// A time, for ``Kind/latency`` and ``Kind/late``.
    public var milliseconds: Int
    /// A speed, for ``Kind/slow``; more than zero.
    public var bytesPerSecond: Int
    /// How many requests run into it; 0 for all until it is removed.
    public var times: Int
    /// The share of those requests that run into it, from 0 to 1; each is drawn anew, from the cloud's seed.
    public var share: Double
    /// Only requests that concern this sandbox; `nil` for all.
    public var sandboxID: String?

    /// A fault for the next request of an operation; see the properties.
    public init(
        _ operation: String,
        _ kind: Kind,
        afterEffect: Bool = false,
        status: Int = 500,
        text: String? = nil,
        headers: [String: String] = [:],
        milliseconds: Int = 0,
        bytesPerSecond: Int = 1,
        times: Int = 1,
        share: Double = 1,
        sandboxID: String? = nil
    ) {
        self.operation = operation
        self.kind = kind
        self.afterEffect = afterEffect
        self.status = status
        self.text = text
        self.headers = headers
        self.milliseconds = milliseconds
        self.bytesPerSecond = bytesPerSecond
        self.times = times
        self.share = share
        self.sandboxID = sandboxID
    }

    private enum CodingKeys: String, CodingKey {
        case operation, kind, afterEffect, status, text, headers, milliseconds, bytesPerSecond, times, share, sandboxID
    }

    /// Reads a fault; only `operation` and `kind` are required.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try values.decode(String.self, forKey: .operation),
            try values.decode(Kind.self, forKey: .kind),
            afterEffect: try values.decodeIfPresent(Bool.self, forKey: .afterEffect) ?? false,
            status: try values.decodeIfPresent(Int.self, forKey: .status) ?? 500,
            text: try values.decodeIfPresent(String.self, forKey: .text),
            headers: try values.decodeIfPresent([String: String].self, forKey: .headers) ?? [:],
            milliseconds: try values.decodeIfPresent(Int.self, forKey: .milliseconds) ?? 0,
            bytesPerSecond: try values.decodeIfPresent(Int.self, forKey: .bytesPerSecond) ?? 1,
            times: try values.decodeIfPresent(Int.self, forKey: .times) ?? 1,
            share: try values.decodeIfPresent(Double.self, forKey: .share) ?? 1,
            sandboxID: try values.decodeIfPresent(String.self, forKey: .sandboxID)
        )
    }

    func concerns(_ operation: Operation, _ id: String?) -> Bool {
        (self.operation == "*" || self.operation == operation.rawValue) && (sandboxID == nil || sandboxID == id)
    }

    /// The answer of a ``Kind/status`` fault.
    var reply: FakeReply {
        let extra = headers.map { ($0.key, $0.value) }
        guard let text else {
            // What the API says itself before a create has begun; what comes after the effect has no such word.
            let hasNoRoom = status == 503 && operation == Operation.create.rawValue && !afterEffect
            let code = hasNoRoom ? "sandbox_capacity_unavailable" : nil
            return FakeFailure(status, Self.message(status), code: code, headers: extra).reply
        }
        return FakeReply(status: status, headers: [("Content-Type", "text/plain")] + extra, body: Array(text.utf8))
    }

    private static func message(_ status: Int) -> String {
        switch status {
        case 429: "Rate limit exceeded"
        case 503: "Sandbox capacity is unavailable"
        default: "a fault was injected"
        }
    }
}

/// What a request asks for.
enum Operation: String, Sendable, CaseIterable {
    case create, get, list, connect, timeout, refreshes, pause, resume, kill, metrics
    case health, listdir, start
    case unknown
}
