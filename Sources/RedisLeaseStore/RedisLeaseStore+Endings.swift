internal import RedisClient
public import SandboxCore
internal import Synchronization

extension RedisLeaseStore {
    /// See ``SharedLeaseStore/observe(_:)``.
    public func observe(_ hear: @escaping @Sendable (StoreNotice) -> Void) {
        knowledge.withLock { $0.hear = hear }
    }

    /// See ``SharedLeaseStore/listen()``. Ends also when the store is closed.
    public func listen() async {
        let channels = [names.endings, names.acknowledgements].map { Array($0.utf8) }
        while !Task.isCancelled {
            do throws(RedisError) {
                await listen(to: try client.subscribe(to: channels), acknowledgements: channels[1])
                hear(.deaf)
            } catch {
                hear(.deaf)
                if case .closed = error { return }
            }
            // No thread or descriptor just now; or a client that was closed, which the next attempt tells.
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    private func listen(to messages: AsyncStream<RedisMessage>, acknowledgements channel: [UInt8]) async {
        await withDiscardingTaskGroup { group in
            for await message in messages {
                switch message {
                case .subscribed: hear(.listening)
                case .lost: hear(.deaf)
                case .received(channel, let payload): acknowledgements.arrived(String(decoding: payload, as: UTF8.self))
                case .received(_, let payload):
                    guard let ending = Ending(payload), let answer = heard(ending) else { continue }
                    // Beside the listening: an answer that waits for Redis must not hold up the next ending.
                    group.addTask { _ = await self.client.send([answer]) }
                }
            }
        }
    }

    private func hear(_ notice: StoreNotice) { knowledge.withLock { $0.hear }(notice) }

    /// - Returns: How to tell the sender that the copy is gone, if they wait for that.
    private func heard(_ ending: Ending) -> RedisCommand? {
        guard ending.owner != owner else {
            // Our own copy was ours to drop.
            if let name = ending.acknowledgement { acknowledgements.arrived(name) }
            return nil
        }
        hear(.ended(ending.key, ending.epoch))
        return ending.acknowledgement.map { name in
            .publish(Array(name.utf8), to: names.acknowledgements(of: ending.owner))
        }
    }

    /// See ``LeaseStore/release(_:reason:)``. Returns when every other replica that listens has dropped its copy, or a
    /// second later.
    public func release(_ key: LeaseKey, reason: KillReason) async throws(StoreError) -> ReleaseOutcome {
        let name = operations.next()
        acknowledgements.expect(name)
        defer { acknowledgements.forget(name) }
        let answer = try await run(Scripts.release, [key.canonical, reason.rawValue, claim.text, name])
        switch answer.first {
        case "ended":
            let ticket = KillTicket(
                sandbox: try answer.sandbox(1),
                token: try answer.token(2),
                key: key,
                reason: reason,
                epoch: try answer.epochIfAny(4)
            )
            let hearers = try answer.count(3)
            await acknowledgements.wait(for: hearers, name, atMost: tuning.acknowledgementLimit)
            return .ended(ticket)
        case "fenced": return .fenced(try answer.token(1))
        case "dying": return .dying(try answer.token(1))
        default: return .nothing
        }
    }
}

/// What replicas tell each other: leases of a key up to an epoch are over, or changed.
struct Ending {
    var owner: String
    /// What the sender wants to hear when the copy is gone.
    var acknowledgement: String?
    var epoch: Epoch
    var key: LeaseKey

    /// Reads what the scripts' `tell` wrote; `nil` for anything else.
    init?(_ payload: [UInt8]) {
        let lines = String(decoding: payload, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, let epoch = Int64(lines[2]), let key = LeaseKey(canonical: lines[3]) else { return nil }
        owner = String(lines[0])
        acknowledgement = lines[1] == "-" ? nil : String(lines[1])
        self.epoch = Epoch(epoch)
        self.key = key
    }
}
