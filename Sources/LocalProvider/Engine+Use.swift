internal import CLocalSandbox
internal import SandboxCore

/// What is done with running sandboxes.
extension Engine {
    func info(_ id: SandboxID) -> SandboxInfo? {
        guard let sandbox = sandboxes[id], sandbox.isVisible else { return nil }
        return sandbox.info(now: time.now())
    }

    func list(_ filter: SandboxFilter) -> [SandboxInfo] {
        let now = time.now()
        return sandboxes.values.filter { $0.isVisible && $0.matches(filter) }
            .sorted { $0.id.rawValue < $1.id.rawValue }
            .map { $0.info(now: now) }
    }

    /// Moves the end of the sandbox to `life` from now; with `onlyLater`, never to an earlier moment.
    ///
    /// - Returns: `nil` if there is no such running sandbox.
    func extend(_ id: SandboxID, life: Duration, onlyLater: Bool) -> ProviderSandbox? {
        guard let sandbox = sandboxes[id], sandbox.isRunning else { return nil }
        let now = time.now()
        let wanted = now + max(.zero, life)
        if !onlyLater || wanted > sandbox.deadline {
            let isEarlier = wanted < sandbox.deadline
            sandbox.deadline = wanted
            let message = Wire.life(wanted - now + configuration.expiryMargin)
            send(LocalSandbox.Outgoing(bytes: message, descriptors: [], command: nil), to: sandbox)
            // The task sleeps until the old deadline, which would be too late now.
            if isEarlier, sandbox.isRunning { watchExpiry(of: sandbox) }
        }
        return sandbox.describe(now: now)
    }

    func health(
        _ id: SandboxID,
        timeout: Duration,
        _ ticket: CallTicket,
        _ completion: Completion<HealthVerdict>
    ) {
        guard let sandbox = sandboxes[id], sandbox.isRunning else { return completion.finish(.success(.gone)) }
        guard sandbox.pings.count < Self.maxPings else {
            return completion.finish(.success(.unreachable("\(Self.maxPings) probes of the sandbox wait already")))
        }
        let number = sandbox.nextNumber()
        sandbox.pings[number] = completion
        let timer = reactor.after(timeout) { completion.finish(.success(.timedOut(after: timeout))) }
        completion.onFinish { [reactor, weak sandbox] in
            reactor.cancel(timer)
            sandbox?.pings[number] = nil
        }
        onCancel(of: ticket, completion) { completion.finish(.success(.cancelled)) }
        guard !completion.isFinished else { return }
        // A supervisor that does not read would fill the queue with questions: one unsent message says as much.
        guard sandbox.outbox.count <= Self.maxPings else { return }
        send(LocalSandbox.Outgoing(bytes: Wire.ping(number), descriptors: [], command: nil), to: sandbox)
    }

    func exec(_ id: SandboxID, _ request: ExecRequest, _ ticket: CallTicket, _ completion: Completion<ExecResult>) {
        guard let sandbox = sandboxes[id], sandbox.isRunning else {
            return completion.fail(.init(.exec, .gone, "there is no such sandbox", effect: .none))
        }
        guard sandbox.commands.count < SANDBOX_MAX_COMMANDS else {
            let detail = "\(sandbox.commands.count) commands run in the sandbox already"
            return completion.fail(.init(.exec, .rateLimited, detail, effect: .none))
        }
        guard !ticket.isCancelled else {
            return completion.fail(.init(.exec, .cancelled, "the command was given up", effect: .none))
        }
        let number = sandbox.nextNumber()
        let command = RunningCommand(
            number: number,
            request: request,
            outputLimit: min(max(0, request.outputLimit), configuration.maxOutputBytes),
            owner: owner,
            reactor: reactor,
            completion: completion
        )
        guard let command else {
            return completion.fail(.init(.exec, .unavailable, "out of file descriptors", effect: .none))
        }
        sandbox.commands[number] = command
        command.start(reactor.after(request.timeout) { [weak self] in self?.timeOut(command, in: sandbox) })
        onCancel(of: ticket, completion) { [weak self] in self?.giveUp(command, in: sandbox) }
        let message = Wire.run(number, command: request.command)
        send(
            LocalSandbox.Outgoing(bytes: message, descriptors: command.childDescriptors, command: number),
            to: sandbox
        )
    }

    private func timeOut(_ command: RunningCommand, in sandbox: LocalSandbox) {
        // It ended and only its output is awaited: that is no timeout, and the grace for it is short.
        guard command.exit == nil else { return }
        command.markTimedOut()
        guard kill(command, in: sandbox) else { return command.finish() }
        command.start(
            reactor.after(Self.killGrace) { [weak sandbox] in
                // Neither the command nor the supervisor can be moved; the number stays taken until one of them is.
                _ = sandbox
                command.finish()
            }
        )
    }

    private func giveUp(_ command: RunningCommand, in sandbox: LocalSandbox) {
        let wasStarted = kill(command, in: sandbox)
        let detail = "the command was given up and killed"
        command.fail(.init(.exec, .cancelled, detail, effect: wasStarted ? .unknown : .none))
    }

    /// Has the supervisor kill a command with all its children.
    ///
    /// - Returns: `false` if it never started, and so is over already.
    private func kill(_ command: RunningCommand, in sandbox: LocalSandbox) -> Bool {
        if let index = sandbox.outbox.firstIndex(where: { $0.command == command.number }) {
            sandbox.outbox.remove(at: index).descriptors.forEach { cls_close($0) }
            sandbox.commands[command.number] = nil
            return false
        }
        guard sandbox.commands[command.number] != nil else { return true }
        let message = LocalSandbox.Outgoing(bytes: Wire.kill(command.number), descriptors: [], command: nil)
        send(message, to: sandbox)
        return true
    }
}
