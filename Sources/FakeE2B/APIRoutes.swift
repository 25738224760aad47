/// Which call a request to the control plane is.
struct APIRoute {
    var operation: Operation
    var id: String?
    var isV2 = false

    /// An unknown route has the operation `unknown`, as has a wrong method.
    init(_ request: FakeRequest, hasV2: Bool) {
        var parts = request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        let isV2 = parts.first == "v2"
        if isV2 { parts.removeFirst() }
        self.isV2 = isV2
        operation = .unknown
        guard parts.first == "sandboxes" else { return }
        let name = "\(request.method) \(parts.count > 2 ? parts[2] : "")"
        id = parts.count > 1 ? parts[1] : nil
        switch (parts.count, name) {
        case (1, "POST "): operation = isV2 && !hasV2 ? .unknown : .create
        case (1, "GET "): operation = .list
        case (2, "GET ") where !isV2: operation = id == "metrics" ? .unknown : .get
        case (2, "DELETE ") where !isV2: operation = .kill
        case (3, "POST connect"): operation = isV2 && !hasV2 ? .unknown : .connect
        case (3, "POST timeout") where !isV2: operation = .timeout
        case (3, "POST refreshes") where !isV2: operation = .refreshes
        case (3, "POST pause") where !isV2: operation = .pause
        case (3, "POST resume") where !isV2: operation = .resume
        case (3, "GET metrics") where !isV2: operation = .metrics
        default: break
        }
    }
}

extension FakeCloud {
    /// Who asks, how often, and what.
    mutating func answerAPI(_ route: APIRoute, _ request: FakeRequest, lateBy delay: Int) -> FakeReply {
        catchUp()
        count(route.operation.rawValue)
        do throws(FakeFailure) {
            try authenticate(request)
            let rate = try takeRate(route.operation)
            var reply: FakeReply
            do throws(FakeFailure) {
                reply = try perform(route, request, lateBy: delay)
            } catch {
                reply = error.reply
            }
            reply.headers += rate
            return reply
        } catch {
            return error.reply
        }
    }

    private mutating func perform(
        _ route: APIRoute,
        _ request: FakeRequest,
        lateBy delay: Int
    ) throws(FakeFailure) -> FakeReply {
        let id = try route.id.map { text throws(FakeFailure) in try Self.checked(text) } ?? ""
        switch route.operation {
        case .create: return try create(request, v2: route.isV2, lateBy: delay)
        case .get: return try detail(id)
        case .list: return route.isV2 ? try list(request) : try listRunning(request)
        case .connect: return try connect(id, request, v2: route.isV2)
        case .timeout: return try setTimeout(id, request)
        case .refreshes: return try refresh(id, request)
        case .pause: return try pause(id, request)
        case .resume: return try resume(id, request)
        case .kill: return try kill(id)
        case .metrics: return try metrics(id)
        case .health, .listdir, .start, .unknown: throw FakeFailure(404, "no matching operation was found")
        }
    }

    private func authenticate(_ request: FakeRequest) throws(FakeFailure) {
        guard let key = request.headers["x-api-key"] else {
            throw FakeFailure(401, "authorization header is missing")
        }
        let digits = key.dropFirst(4)
        let isHex = digits.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
        guard key.hasPrefix("e2b_"), !digits.isEmpty, digits.utf8.count.isMultiple(of: 2), isHex else {
            throw FakeFailure(401, "authorization header is malformed")
        }
        if let keys = configuration.apiKeys, !keys.contains(key) {
            throw FakeFailure(401, "Cannot get the team for the given API key")
        }
    }

    /// A sandbox's id, without the legacy suffix.
    static func checked(_ text: String) throws(FakeFailure) -> String {
        guard let id = sandboxID(text) else { throw FakeFailure(400, "Invalid sandbox ID") }
        return id
    }

    static func sandboxID(_ text: String) -> String? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let id = parts.first, !id.isEmpty,
            text.utf8.allSatisfy({ byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            })
        else { return nil }
        return String(id)
    }
}
