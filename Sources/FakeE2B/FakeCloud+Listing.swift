// Looking at sandboxes: GET, listings, metrics.

extension FakeCloud {
    /// `SandboxDetail`.
    func detail(_ id: String) throws(FakeFailure) -> FakeReply {
        let sandbox = try sandbox(id)
        guard case .object(var fields) = listed(sandbox) else { return .text(500, "") }
        fields["domain"] = configuration.domain.map(JSONValue.text) ?? .null
        fields["envdAccessToken"] = sandbox.isSecure ? .text(sandbox.token) : .null
        fields["allowInternetAccess"] = .null
        fields["lifecycle"] = [
            "autoResume": .flag(sandbox.autoResume), "onTimeout": sandbox.autoPause ? "pause" : "kill",
        ]
        return .json(200, .object(fields))
    }

    /// `ListedSandbox`: no token, no domain.
    func listed(_ sandbox: FakeSandbox) -> JSONValue {
        [
            "templateID": .text(sandbox.template), "sandboxID": .text(sandbox.id), "clientID": "6532622b",
            "startedAt": .text(FakeClock.rfc3339(sandbox.startedAt)),
            "endAt": .text(FakeClock.rfc3339(sandbox.endAt)), "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024,
            "state": sandbox.isPaused ? "paused" : "running", "envdVersion": "0.6.13",
            "metadata": .object(sandbox.metadata.mapValues(JSONValue.text)), "volumeMounts": [],
        ]
    }

    /// A page of the listing.
    func list(_ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        let states = (try request.query("state") ?? "running,paused").split(separator: ",").map(String.init)
        guard !states.isEmpty, states.allSatisfy({ ["running", "paused"].contains($0) }) else {
            throw FakeFailure(400, "validation error: state")
        }
        let descending = try order(request)
        let limit = try limit(request)
        let matching = try filtered(request)
        let total = matching.count { !$0.isPaused }
        var page =
            matching
            .filter { states.contains($0.isPaused ? "paused" : "running") }
            .sorted { Self.precedes($0, $1, descending) }
        if let cursor = try cursor(request, descending) {
            page = page.filter { cursor.precedes($0, descending) }
        }
        var headers: [(String, String)] = []
        if page.count > limit, let last = page.prefix(limit).last {
            headers.append(("X-Next-Token", Cursor(last).token(descending)))
        }
        if states.contains("running") { headers.append(("X-Total-Running", String(total))) }
        return .json(200, .list(page.prefix(limit).map(listed)), headers)
    }

    /// The deprecated listing: running ones, no pages.
    func listRunning(_ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        let running = try filtered(request).filter { !$0.isPaused }
        return .json(200, .list(running.sorted { Self.precedes($0, $1, true) }.map(listed)))
    }

    /// One sample; more than enough.
    func metrics(_ id: String) throws(FakeFailure) -> FakeReply {
        _ = try sandbox(id)
        let now = clock.now
        return .json(
            200,
            [
                [
                    "timestamp": .text(FakeClock.rfc3339(now)), "timestampUnix": .int(now / 1_000_000), "cpuCount": 2,
                    "cpuUsedPct": .double(1.5), "memUsed": 67_108_864, "memTotal": 536_870_912, "memCache": 0,
                    "diskUsed": 268_435_456, "diskTotal": 1_073_741_824,
                ]
            ]
        )
    }

    // MARK: Parameters

    private func filtered(_ request: FakeRequest) throws(FakeFailure) -> [FakeSandbox] {
        let pairs = try metadataFilter(request)
        let now = clock.now
        var started = Int.min
        if let text = try request.query("startedAfter") {
            guard let time = FakeClock.parse(text) else { throw FakeFailure(400, "validation error: startedAfter") }
            started = time
        }
        let template = try request.query("template")
        if template?.contains(":") == true { throw FakeFailure(400, "template with a tag") }
        return sandboxes.values.filter { sandbox in
            sandbox.visibleFrom <= now && sandbox.startedAt >= started
                && (template == nil || sandbox.template == template)
                && pairs.allSatisfy { sandbox.metadata[$0.0] == $0.1 }
        }
    }

    /// Decoded three times: as a parameter, as a whole, and piece by piece.
    private func metadataFilter(_ request: FakeRequest) throws(FakeFailure) -> [(String, String)] {
        guard let parameter = try request.query("metadata") else { return [] }
        var pairs: [(String, String)] = []
        for pair in try PercentEncoding.decode(parameter).split(separator: "&", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw FakeFailure(400, "invalid key value pair in query")
            }
            pairs.append((try PercentEncoding.decode(String(parts[0])), try PercentEncoding.decode(String(parts[1]))))
        }
        return pairs
    }

    private func limit(_ request: FakeRequest) throws(FakeFailure) -> Int {
        guard let text = try request.query("limit") else { return 100 }
        guard let limit = Int(text), (1...100).contains(limit) else {
            throw FakeFailure(400, "validation error: limit")
        }
        return limit
    }

    private func order(_ request: FakeRequest) throws(FakeFailure) -> Bool {
        switch try request.query("order") {
        case nil, "desc": true
        case "asc": false
        default: throw FakeFailure(400, "validation error: order")
        }
    }

    private func cursor(_ request: FakeRequest, _ descending: Bool) throws(FakeFailure) -> Cursor? {
        guard let token = try request.query("nextToken") else { return nil }
        guard let cursor = Cursor(token: token, descending) else {
            throw FakeFailure(400, "Invalid next token")
        }
        return cursor
    }

    private static func precedes(_ left: FakeSandbox, _ right: FakeSandbox, _ descending: Bool) -> Bool {
        Cursor(left).precedes(right, descending)
    }
}

/// Where a page ended.
private struct Cursor {
    var startedAt: Int
    var id: String

    init(_ sandbox: FakeSandbox) {
        startedAt = sandbox.startedAt
        id = sandbox.id
    }

    /// Reads a token that was minted for the same order.
    init?(token: String, _ descending: Bool) {
        guard let bytes = JSONValue.bytes(base64: token) else { return nil }
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "|").map(String.init)
        guard parts.count == 3, parts[0] == (descending ? "desc" : "asc"), let started = Int(parts[1]) else {
            return nil
        }
        startedAt = started
        id = parts[2]
    }

    func token(_ descending: Bool) -> String {
        JSONValue.base64(Array("\(descending ? "desc" : "asc")|\(startedAt)|\(id)".utf8))
    }

    /// Whether a sandbox comes after this point.
    func precedes(_ sandbox: FakeSandbox, _ descending: Bool) -> Bool {
        let (left, right) = ((startedAt, id), (sandbox.startedAt, sandbox.id))
        return descending ? left > right : left < right
    }
}
