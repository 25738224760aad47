internal import CurlTransport
internal import HTTPTypes
public import SandboxCore

/// Sandboxes of E2B's cloud, over its HTTP API.
///
/// Nothing is retried here, and nothing waits longer than the call's own limit. An error says whether the call may have
/// taken effect; only the API's own 404 means that a sandbox is gone.
public final class E2BProvider: SandboxProvider {
    /// `e2b`.
    public let name = "e2b"
    /// Can pause; sandboxes live on without this process, until their own expiry.
    public let capabilities = ProviderCapabilities(canPause: true, outlivesProcess: true)

    let configuration: E2BConfiguration
    let time: any TimeSource
    let addresses: Addresses
    let transport: CurlTransport
    let api: ControlPlane
    let sessionEnds = SessionEnds()

    /// Starts the HTTP client's thread; nothing is asked before the first call.
    ///
    /// - Parameters:
    ///   - configuration: Account, addresses, limits.
    ///   - time: Both clocks; expiries are counted with them, time limits of requests with the system's.
    /// - Throws: `.unavailable` when there can be no HTTP client: a bad transport configuration, no memory, no thread.
    public init(configuration: E2BConfiguration, time: any TimeSource) throws(ProviderError) {
        do throws(CurlError) {
            transport = try CurlTransport(configuration: configuration.transport)
        } catch {
            throw ProviderError(.create, .unavailable, error.description, effect: .none)
        }
        self.configuration = configuration
        self.time = time
        addresses = Addresses(configuration)
        api = ControlPlane(
            base: addresses.api,
            apiKey: configuration.apiKey,
            transport: transport,
            redactor: Redactor([configuration.apiKey])
        )
    }

    /// Makes a sandbox and returns once the API says that it runs.
    ///
    /// - Throws: With effect `.none` only where the API refused or nothing was sent; otherwise look the token up.
    public func create(_ request: CreateRequest, timeout: Duration) async throws(ProviderError) -> ProviderSandbox {
        guard request.life > .zero else {
            throw ProviderError(.create, .http(status: 400), "life must be more than zero", effect: .none)
        }
        let seconds = apiSeconds(request.life)
        let isV2 = configuration.apiVersion == .v2
        let body = CreateBody(
            templateID: request.template,
            timeout: seconds,
            secure: isV2 ? nil : true,
            // Ours last: callers cannot name themselves owners (S3).
            metadata: request.metadata.merging(LabelMetadata.metadata(of: request.labels)) { $1 },
            envVars: request.environment.mapValues { $0.reveal() }
        )
        var extra = HTTPFields()
        if isV2 { extra[.idempotencyKey] = request.labels.token.rawValue }
        let sentAt = time.now()
        let response = try await api.send(
            .create,
            .post,
            isV2 ? "/v2/sandboxes" : "/sandboxes",
            body: JSON.encode(body),
            extra: extra,
            Deadline(timeout, time)
        )
        guard (200..<300).contains(response.status) else {
            throw redacted(request).failure(.create, response)
        }
        guard let reply = JSON.decode(SandboxReply.self, response.body), Addresses.isSafe(reply.id) else {
            throw ProviderError(.create, .malformed, "\(response.status) without a sandbox", effect: .unknown)
        }
        learnStart(reply.id, at: sentAt)
        return reply.sandbox(template: request.template, life: remaining(until: sentAt + .seconds(seconds)))
    }

    /// What the API knows of a sandbox; `nil` only when the API itself says that there is none.
    public func info(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> SandboxInfo? {
        try await info(id, .info, Deadline(timeout, time))
    }

    /// Closes connections; sandboxes live on.
    public func shutdown() async {
        await transport.close()
    }

    // MARK: Shared pieces

    /// GETs a sandbox on behalf of an operation.
    func info(
        _ id: SandboxID,
        _ operation: ProviderOperation,
        _ deadline: Deadline
    ) async throws(ProviderError) -> SandboxInfo? {
        let response = try await api.send(operation, .get, try path(id, for: operation), deadline)
        if ReplyFailure.saysGone(response) {
            sessionEnds.forget(id)
            return nil
        }
        guard response.status == 200 else { throw reading(api.failure(operation, response)) }
        guard let detail = JSON.decode(DetailReply.self, response.body), detail.sandboxID == id.rawValue,
            let info = described(detail, response)
        else { throw ProviderError(operation, .malformed, "a sandbox that cannot be read", effect: .none) }
        return info
    }

    /// A sandbox as the manager sees it; `nil` if its times make no sense.
    func described(_ detail: DetailReply, _ response: TransportResponse) -> SandboxInfo? {
        guard let startedAt = Timestamps.rfc3339(detail.startedAt), let endAt = Timestamps.rfc3339(detail.endAt)
        else { return nil }
        let id = SandboxID(detail.sandboxID)
        guard Addresses.isSafe(id) else { return nil }
        let now = latestNow(response)
        let state = detail.state == "paused" ? SandboxState.paused : .running
        if state == .running {
            sessionEnds.learn(id, time.now() + (startedAt - now) + configuration.maxSession, now: time.now())
        }
        let metadata = detail.metadata ?? [:]
        return SandboxInfo(
            sandbox: ProviderSandbox(
                id: id,
                template: detail.templateID ?? "",
                domain: detail.domain,
                envdAccessToken: detail.envdAccessToken.map { Secret($0) },
                trafficAccessToken: detail.trafficAccessToken.map { Secret($0) },
                // The end of a paused one is the moment of its pause, not an expiry.
                remainingLife: state == .paused ? .zero : max(.zero, endAt - now)
            ),
            state: state,
            startedAt: startedAt,
            metadata: metadata,
            labels: LabelMetadata.labels(in: metadata)
        )
    }

    /// The path of a sandbox; `v2` only where the call has such a form.
    func path(
        _ id: SandboxID,
        _ call: String = "",
        v2: Bool = false,
        for operation: ProviderOperation
    ) throws(ProviderError) -> String {
        guard Addresses.isSafe(id) else {
            throw ProviderError(operation, .http(status: 400), "the sandbox id is not one of E2B's", effect: .none)
        }
        return "\(v2 ? "/v2" : "")/sandboxes/\(id.rawValue)\(call)"
    }

    /// As many whole seconds as wished, but no more than the plan grants.
    func apiSeconds(_ life: Duration) -> Int {
        min(life.apiSeconds, max(1, Int(configuration.maxSession.components.seconds)))
    }

    /// Their clock may be ahead of ours: what is left of a life is counted from the later of the two.
    private func latestNow(_ response: TransportResponse) -> WallTime {
        let ours = time.wallNow()
        guard let theirs = response.headers[.date].flatMap({ Timestamps.httpDate($0) }), theirs > ours else {
            return ours
        }
        // The header has whole seconds, rounded down.
        return theirs + .seconds(1)
    }

    func remaining(until end: MonotonicInstant) -> Duration { max(.zero, end - time.now()) }

    /// A sandbox started at `instant` or later.
    func learnStart(_ id: SandboxID, at instant: MonotonicInstant) {
        sessionEnds.learn(id, instant + configuration.maxSession, now: time.now())
    }

    /// A failed look does nothing, whatever it was looked for.
    func reading(_ error: ProviderError) -> ProviderError {
        var error = error
        error.effect = .none
        return error
    }

    /// A server may repeat what it was sent.
    private func redacted(_ request: CreateRequest) -> ControlPlane {
        ControlPlane(
            base: api.base,
            apiKey: api.apiKey,
            transport: transport,
            redactor: api.redactor.also(request.environment.values.map { $0 })
        )
    }
}

extension SandboxReply {
    var id: SandboxID { SandboxID(sandboxID) }

    func sandbox(template: String, life: Duration) -> ProviderSandbox {
        ProviderSandbox(
            id: id,
            template: templateID ?? template,
            domain: domain,
            envdAccessToken: envdAccessToken.map { Secret($0) },
            trafficAccessToken: trafficAccessToken.map { Secret($0) },
            remainingLife: life
        )
    }
}
