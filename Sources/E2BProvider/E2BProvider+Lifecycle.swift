internal import CurlTransport
internal import HTTPTypes
public import SandboxCore

// Connect, extend, pause and kill: calls whose success, failure or silence is each checked where it leaves a doubt.

extension E2BProvider {
    /// What is believed of a life that could not be read back: long enough to work, short enough to be asked again soon.
    private static let unverifiedLife: Duration = .seconds(30)

    /// Attaches to a sandbox, resuming it when it is paused.
    ///
    /// When several resume one sandbox at once, only the first one's life is granted; so the expiry is read back and, if
    /// it is too early, moved.
    ///
    /// - Throws: `.gone` on the API's word; 409 while the sandbox is being killed.
    public func connect(
        _ id: SandboxID,
        life: Duration,
        timeout: Duration
    ) async throws(ProviderError) -> ConnectedSandbox {
        let deadline = Deadline(timeout, time)
        let seconds = apiSeconds(life)
        let sentAt = time.now()
        let response = try await api.send(
            .connect,
            .post,
            try path(id, "/connect", v2: configuration.apiVersion == .v2, for: .connect),
            body: JSON.encode(TimeoutBody(timeout: seconds)),
            deadline
        )
        if ReplyFailure.saysGone(response) { throw gone(id, .connect) }
        guard (200..<300).contains(response.status) else { throw api.failure(.connect, response) }
        guard let reply = JSON.decode(SandboxReply.self, response.body), reply.id == id else {
            throw ProviderError(.connect, .malformed, "\(response.status) without the sandbox", effect: .unknown)
        }
        let isResumed = response.status == 201
        var sandbox = reply.sandbox(template: "", life: .zero)
        if !isResumed, let sessionEnd = sessionEnds[id] {
            // A connect to a running sandbox never shortens its life.
            sandbox.remainingLife = remaining(until: min(sentAt + .seconds(seconds), sessionEnd))
        } else {
            let wish = sentAt + .seconds(seconds)
            sandbox.remainingLife = try await lifeReadBack(of: id, wish: wish, deadline)
        }
        return ConnectedSandbox(sandbox: sandbox, resumed: isResumed)
    }

    /// Reads the expiry back after a connect, and moves it when somebody else's shorter wish was granted.
    private func lifeReadBack(
        of id: SandboxID,
        wish: MonotonicInstant,
        _ deadline: Deadline
    ) async throws(ProviderError) -> Duration {
        let info: SandboxInfo?
        do throws(ProviderError) {
            info = try await self.info(id, .connect, deadline)
        } catch {
            return min(remaining(until: wish), Self.unverifiedLife)
        }
        guard let info else { throw gone(id, .connect) }
        let sessionEnd = sessionEnds[id] ?? wish
        let wanted = remaining(until: min(wish, sessionEnd))
        guard info.state == .running, info.sandbox.remainingLife + .seconds(2) < wanted else {
            return min(info.sandbox.remainingLife, remaining(until: sessionEnd))
        }
        do throws(ProviderError) {
            return try await extend(id, life: wanted, timeout: deadline.rest)
        } catch {
            return info.sandbox.remainingLife
        }
    }

    /// Moves the expiry to `life` from now, which may be earlier than before.
    ///
    /// The API shortens a wish beyond the plan's longest session without a word; so no more than that is believed.
    ///
    /// - Throws: `.gone` when there is no such running sandbox; a paused one counts as none.
    public func extend(_ id: SandboxID, life: Duration, timeout: Duration) async throws(ProviderError) -> Duration {
        let deadline = Deadline(timeout, time)
        if sessionEnds[id] == nil {
            guard let info = try await info(id, .extend, deadline), info.state == .running else {
                throw gone(id, .extend)
            }
        }
        let seconds = apiSeconds(life)
        let sentAt = time.now()
        let response = try await api.send(
            .extend,
            .post,
            try path(id, "/timeout", for: .extend),
            body: JSON.encode(TimeoutBody(timeout: seconds)),
            deadline
        )
        if ReplyFailure.saysGone(response) { throw gone(id, .extend) }
        guard (200..<300).contains(response.status) else { throw api.failure(.extend, response) }
        return remaining(until: min(sentAt + .seconds(seconds), sessionEnds[id] ?? sentAt))
    }

    /// Stops the sandbox and keeps its state; already paused is success.
    ///
    /// - Throws: `.gone` when there is no such sandbox; after a server error, that error if the sandbox still runs.
    public func pause(_ id: SandboxID, timeout: Duration) async throws(ProviderError) {
        let deadline = Deadline(timeout, time)
        let response = try await api.send(
            .pause,
            .post,
            try path(id, "/pause", for: .pause),
            body: Array("{}".utf8),
            deadline
        )
        if (200..<300).contains(response.status) { return }
        if ReplyFailure.saysGone(response) { throw gone(id, .pause) }
        let failure = api.failure(.pause, response)
        // 409 is "already" or "not now"; after a server error the sandbox may run, be paused, or be lost.
        guard response.status == 409 || response.status >= 500 else { throw failure }
        if response.status == 409, failure.detail.contains("already paused") { return }
        let info: SandboxInfo?
        do throws(ProviderError) {
            info = try await self.info(id, .pause, deadline)
        } catch {
            throw failure
        }
        guard let info else { throw gone(id, .pause) }
        guard info.state == .paused else { throw failure }
    }

    /// Ends a sandbox, running or paused. After a server error the API is asked whether it still exists.
    public func kill(_ id: SandboxID, timeout: Duration) async throws(ProviderError) -> KillOutcome {
        let deadline = Deadline(timeout, time)
        let response = try await api.send(.kill, .delete, try path(id, for: .kill), deadline)
        if (200..<300).contains(response.status) {
            sessionEnds.forget(id)
            return .killed
        }
        if ReplyFailure.saysGone(response) {
            sessionEnds.forget(id)
            return .alreadyGone
        }
        let failure = api.failure(.kill, response)
        guard response.status >= 500 || response.status == 404 else { throw failure }
        let info: SandboxInfo?
        do throws(ProviderError) {
            info = try await self.info(id, .kill, deadline)
        } catch {
            throw failure
        }
        guard info == nil else { throw failure }
        return .killed
    }

    func gone(_ id: SandboxID, _ operation: ProviderOperation) -> ProviderError {
        sessionEnds.forget(id)
        return ProviderError(operation, .gone, "there is no such sandbox", effect: .none)
    }
}
