/// A request that the fake has answered, or has not.
public struct FakeExchange: Sendable, Hashable {
    /// What it asked for.
    public var operation: String
    /// Method of the request.
    public var method: String
    /// Path and query as they were sent.
    public var target: String
    /// Header fields with lower-case names; keys and tokens masked.
    public var headers: [String: String]
    /// The body, if it was JSON.
    public var body: JSONValue?
    /// The status of the answer; 0 for none.
    public var status: Int

    static let secretNames: Set<String> = ["x-api-key", "x-access-token", "e2b-traffic-access-token"]

    init(_ request: FakeRequest, _ operation: Operation, status: Int) {
        self.operation = operation.rawValue
        method = request.method
        target = request.target
        headers = request.headers
        for name in Self.secretNames where headers[name] != nil { headers[name] = "***" }
        body = request.json
        self.status = status
    }

    var json: JSONValue {
        [
            "operation": .text(operation), "method": .text(method), "target": .text(target),
            "headers": .object(headers.mapValues(JSONValue.text)), "body": body ?? .null, "status": .int(status),
        ]
    }
}

/// The latest exchanges; old ones make room.
struct Journal: Sendable {
    private static let limit = 4096
    private(set) var exchanges: [FakeExchange] = []

    mutating func append(_ exchange: FakeExchange) {
        if exchanges.count >= Self.limit { exchanges.removeFirst(Self.limit / 2) }
        exchanges.append(exchange)
    }
}
