internal import CLocalSandbox
internal import Glibc
internal import SandboxCore

/// The conversation with the supervisors.
extension Engine {
    /// Sends a message, or queues it when the socket is full. Its descriptors are closed here in any case.
    func send(_ message: LocalSandbox.Outgoing, to sandbox: LocalSandbox) {
        sandbox.outbox.append(message)
        if sandbox.outbox.count == 1 { flush(sandbox) }
    }

    private func flush(_ sandbox: LocalSandbox) {
        while let message = sandbox.outbox.first {
            let sent = cls_send(
                sandbox.socketDescriptor,
                message.bytes,
                message.bytes.count,
                message.descriptors,
                Int32(message.descriptors.count)
            )
            // Full: wait until it is writable. Too many descriptors under way: those of other messages, so wait too.
            guard sent != -Int64(EAGAIN), sent != -Int64(ETOOMANYREFS), sent != -Int64(ENOBUFS) else { break }
            sandbox.outbox.removeFirst()
            message.descriptors.forEach { cls_close($0) }
            guard sent < 0 else { continue }
            return lost(sandbox)
        }
        guard let socket = sandbox.socket else { return }
        reactor.change(socket, to: sandbox.outbox.isEmpty ? .readable : [.readable, .writable])
    }

    func socketReady(_ sandbox: LocalSandbox, _ events: Reactor.Events) {
        if events.contains(.writable) { flush(sandbox) }
        guard events.contains(.readable) || events.contains(.hungUp) else { return }
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 16) { buffer in
            // Bounded: a supervisor that talks without end must not keep the thread.
            for _ in 0..<64 where sandbox.socket != nil {
                let count = Int(cls_receive(sandbox.socketDescriptor, buffer.baseAddress, buffer.count))
                guard count != -Int(EAGAIN) else { return }
                guard count > 0 else { return lost(sandbox) }
                guard let reply = Wire.reply(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { continue }
                handle(reply, of: sandbox)
            }
        }
    }

    private func handle(_ reply: Wire.Reply, of sandbox: LocalSandbox) {
        switch reply {
        case .ready:
            started(sandbox)
        case .pong(let number):
            sandbox.pings.removeValue(forKey: number)?.finish(.success(.alive))
        case .exited(let number, let status):
            guard let command = sandbox.commands.removeValue(forKey: number) else { return }
            command.ended(ExitStatus(status: status), outputGrace: configuration.outputGrace)
        }
    }

    private func started(_ sandbox: LocalSandbox) {
        guard case .starting(let completion) = sandbox.state else { return }
        sandbox.state = .running
        sandbox.closeErrors()
        watchExpiry(of: sandbox)
        completion.finish(.success(sandbox.describe(now: time.now())))
    }

    /// Starts the task that ends the sandbox at its deadline; later deadlines it finds by itself.
    func watchExpiry(of sandbox: LocalSandbox) {
        sandbox.expiry?.cancel()
        sandbox.expiry = spawner.spawn("local sandbox expiry") { [loop, time, id = sandbox.id] in
            while let deadline = await loop.ask({ $0.expire(id) }) ?? nil {
                await time.sleep(until: deadline)
                guard !Task.isCancelled else { return }
            }
        }
    }

    /// Ends the sandbox if its life is over.
    ///
    /// - Returns: When to ask again, or `nil` when there is nothing left to expire.
    private func expire(_ id: SandboxID) -> MonotonicInstant? {
        guard let sandbox = sandboxes[id], sandbox.isRunning else { return nil }
        guard sandbox.deadline <= time.now() else { return sandbox.deadline }
        // This very task is the one to end; cancelling it would be harmless but odd.
        sandbox.expiry = nil
        end(sandbox, ProviderError(.exec, .gone, "the sandbox expired", effect: .unknown))
        return nil
    }
}

extension IOLoop {
    /// The answer of a question that the engine can answer at once; `nil` when the loop has ended.
    func ask<Answer: Sendable>(_ question: @escaping @Sendable (Engine) -> Answer) async -> Answer? {
        await withCheckedContinuation { continuation in
            let taken = submit { continuation.resume(returning: question($0)) }
            if !taken { continuation.resume(returning: nil) }
        }
    }
}
