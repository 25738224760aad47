// The lifecycle calls. Each is one step: nothing is seen half done.

extension FakeCloud {
    private static let second = 1_000_000

    // MARK: Create

    mutating func create(_ request: FakeRequest, v2: Bool, lateBy delay: Int) throws(FakeFailure) -> FakeReply {
        guard let body = request.json, case .object = body else {
            throw FakeFailure(400, "validation error: request body is not an object")
        }
        let key = v2 ? request.headers["idempotency-key"] : nil
        if let key, let made = try repeated(key, body) { return made }
        let sandbox = try ordered(body, v2: v2, lateBy: delay)
        try checkConcurrency()
        begin(sandbox)
        if let key { idempotency[key] = (body, sandbox.id) }
        return .json(201, reply(sandbox))
    }

    /// The reply to an earlier create with the same key.
    private func repeated(_ key: String, _ body: JSONValue) throws(FakeFailure) -> FakeReply? {
        let isWellFormed = key.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard (1...255).contains(key.utf8.count), isWellFormed else {
            throw FakeFailure(400, "validation error: Idempotency-Key")
        }
        guard let (earlier, id) = idempotency[key] else { return nil }
        guard earlier == body else {
            throw FakeFailure(422, "another request had this key", code: "idempotency_request_mismatch")
        }
        guard let sandbox = sandboxes[id] else {
            throw FakeFailure(409, "what became of it is unknown", code: "idempotency_outcome_unknown")
        }
        return .json(201, reply(sandbox))
    }

    private mutating func ordered(
        _ body: JSONValue,
        v2: Bool,
        lateBy delay: Int
    ) throws(FakeFailure) -> FakeSandbox {
        guard let template = body["templateID"]?.text, !template.isEmpty else {
            throw FakeFailure(400, "validation error: templateID is required")
        }
        let timeout = try seconds(body, "timeout", default: v2 ? 300 : 15)
        guard timeout > 0 else { throw FakeFailure(400, "Timeout must be greater than 0") }
        try checkTier(timeout)
        let autoPause = try flag(body, "autoPause") ?? false
        let autoResume = try body["autoResume"].map { value throws(FakeFailure) in try flag(value, "enabled") } ?? false
        if try flag(body, "autoPauseMemory") == false, !autoPause || autoResume == true {
            throw FakeFailure(400, "autoPauseMemory false needs autoPause and excludes autoResume")
        }
        _ = try flag(body, "allow_internet_access")
        let metadata = try texts(body, "metadata")
        let environment = try texts(body, "envVars")
        let isSecure = try flag(body, "secure") ?? false
        guard !configuration.missingTemplates.contains(template) else {
            throw FakeFailure(404, "template '\(template)' not found")
        }
        let now = clock.now
        return FakeSandbox(
            id: newID(),
            template: template,
            metadata: metadata,
            environment: environment,
            startedAt: now,
            endAt: now + timeout * Self.second,
            isSecure: v2 || isSecure,
            autoPause: autoPause,
            autoResume: autoResume ?? false,
            createTimeout: timeout,
            visibleFrom: now + delay * 1000
        )
    }

    // MARK: Connect and resume

    mutating func connect(_ id: String, _ request: FakeRequest, v2: Bool) throws(FakeFailure) -> FakeReply {
        let body = try optionalBody(request, required: !v2)
        if !v2, body["timeout"] == nil { throw FakeFailure(400, "validation error: timeout is required") }
        let timeout = try seconds(body, "timeout", default: 300)
        guard timeout >= 0 else { throw FakeFailure(400, "validation error: timeout is negative") }
        try checkTier(timeout)
        var sandbox = try sandbox(id)
        guard !sandbox.isPaused else { return try resume(sandbox, timeout) }
        sandbox.endAt = clamped(max(sandbox.endAt, clock.now + timeout * Self.second), sandbox)
        sandboxes[id] = sandbox
        return .json(200, reply(sandbox))
    }

    /// The deprecated form, which refuses what runs.
    mutating func resume(_ id: String, _ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        let body = try optionalBody(request, required: false)
        let timeout = try seconds(body, "timeout", default: 15)
        try checkTier(timeout)
        var sandbox = try sandbox(id)
        guard sandbox.isPaused else { throw FakeFailure(409, "Sandbox '\(id)' is already running") }
        sandbox.autoPause = try flag(body, "autoPause") ?? sandbox.autoPause
        return try resume(sandbox, timeout)
    }

    mutating func resume(_ sandbox: FakeSandbox, _ timeout: Int) throws(FakeFailure) -> FakeReply {
        try checkConcurrency()
        var sandbox = sandbox
        sandbox.isPaused = false
        sandbox.startedAt = clock.now
        sandbox.endAt = sandbox.startedAt + timeout * Self.second
        sandboxes[sandbox.id] = sandbox
        count("resumed")
        notePeak()
        return .json(201, reply(sandbox))
    }

    // MARK: Timeout, refresh, pause, kill

    mutating func setTimeout(_ id: String, _ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        let body = try optionalBody(request, required: true)
        guard body["timeout"] != nil else { throw FakeFailure(400, "validation error: timeout is required") }
        let timeout = try seconds(body, "timeout", default: 0)
        guard timeout >= 0 else { throw FakeFailure(400, "validation error: timeout is negative") }
        var sandbox = try running(id)
        sandbox.endAt = clamped(clock.now + timeout * Self.second, sandbox)
        sandboxes[id] = sandbox
        count("extended")
        catchUp()
        return .noContent
    }

    mutating func refresh(_ id: String, _ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        let duration = try seconds(try optionalBody(request, required: false), "duration", default: 15)
        guard (0...3600).contains(duration) else { throw FakeFailure(400, "validation error: duration") }
        let sandbox = try running(id)
        let wish = clamped(clock.now + max(15, duration) * Self.second, sandbox)
        sandboxes[id]?.endAt = max(sandbox.endAt, wish)
        return .noContent
    }

    mutating func pause(_ id: String, _ request: FakeRequest) throws(FakeFailure) -> FakeReply {
        _ = try flag(try optionalBody(request, required: false), "memory")
        var sandbox = try sandbox(id)
        guard !sandbox.isPaused else {
            throw FakeFailure(409, "Error pausing sandbox - sandbox '\(id)' is already paused")
        }
        sandbox.isPaused = true
        sandbox.endAt = clock.now
        sandboxes[id] = sandbox
        count("paused")
        return .noContent
    }

    mutating func kill(_ id: String) throws(FakeFailure) -> FakeReply {
        _ = try sandbox(id)
        end(id, .killed)
        return .noContent
    }

    // MARK: Pieces

    private func running(_ id: String) throws(FakeFailure) -> FakeSandbox {
        let sandbox = try sandbox(id)
        guard !sandbox.isPaused else { throw .unknown(id) }
        return sandbox
    }

    private func clamped(_ endAt: Int, _ sandbox: FakeSandbox) -> Int {
        min(endAt, sandbox.startedAt + configuration.tierSeconds * Self.second)
    }

    private func checkTier(_ timeout: Int) throws(FakeFailure) {
        guard timeout <= configuration.tierSeconds else {
            throw FakeFailure(400, "Timeout cannot be greater than \(configuration.tierSeconds / 3600) hours")
        }
    }

    private func optionalBody(_ request: FakeRequest, required: Bool) throws(FakeFailure) -> JSONValue {
        if request.body.isEmpty, !required { return [:] }
        guard let body = request.json, case .object = body else {
            throw FakeFailure(400, "validation error: request body is not an object")
        }
        return body
    }

    private func seconds(_ body: JSONValue, _ name: String, default fallback: Int) throws(FakeFailure) -> Int {
        guard let value = body[name], value != .null else { return fallback }
        guard let seconds = value.int else { throw FakeFailure(400, "validation error: \(name) must be an integer") }
        return seconds
    }

    private func flag(_ body: JSONValue, _ name: String) throws(FakeFailure) -> Bool? {
        guard let value = body[name], value != .null else { return nil }
        guard let flag = value.flag else { throw FakeFailure(400, "validation error: \(name) must be a boolean") }
        return flag
    }

    private func texts(_ body: JSONValue, _ name: String) throws(FakeFailure) -> [String: String] {
        guard let value = body[name], value != .null else { return [:] }
        guard let texts = value.texts else { throw FakeFailure(400, "validation error: \(name) must map to strings") }
        return texts
    }

    /// `Sandbox`: the reply to create and connect, without any times.
    private func reply(_ sandbox: FakeSandbox) -> JSONValue {
        [
            "templateID": .text(sandbox.template), "sandboxID": .text(sandbox.id), "clientID": "6532622b",
            "envdVersion": "0.6.13", "domain": configuration.domain.map(JSONValue.text) ?? .null,
            "trafficAccessToken": nil, "envdAccessToken": sandbox.isSecure ? .text(sandbox.token) : .null,
        ]
    }
}
