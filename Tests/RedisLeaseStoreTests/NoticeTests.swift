import RedisClient
import SandboxCore
import TestSupport
import Testing

@testable import RedisLeaseStore

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct NoticeTests {
    @Test func `others hear what ended or changed, and oneself does not`() async throws {
        try await withWorld { world in
            let me = try await world.replica("me")
            let other = try await world.replica("other")
            try await listening(me) { mine in
                try await listening(other) { theirs in
                    let ended = try await lease(me, try key("ended"), "a")
                    let forgotten = try await lease(me, try key("forgotten"), "b")
                    let paused = try await lease(me, try key("paused"), "c")
                    let replaced = try await lease(me, try key("replaced"), "d")
                    _ = try await me.end(try key("ended"), epoch: ended, idleFor: nil, reason: .idle)
                    _ = try await me.forget(try key("forgotten"), epoch: forgotten)
                    _ = try await me.setPaused(try key("paused"), epoch: paused, paused: true, remaining: .seconds(9))
                    _ = try await me.setPaused(try key("paused"), epoch: paused, paused: false, remaining: .seconds(9))
                    let newer = record(try key("replaced"), Epoch(replaced.rawValue + 1), "e")
                    #expect(try await me.restore(newer) == .kept(newer.epoch))
                    let expected: [StoreNotice] = [
                        .listening, .ended(try key("ended"), ended), .ended(try key("forgotten"), forgotten),
                        .ended(try key("paused"), paused), .ended(try key("paused"), paused),
                        .ended(try key("replaced"), replaced),
                    ]
                    #expect(await eventually { theirs.all.count == expected.count })
                    #expect(theirs.all == expected)
                    // What I hear comes after all of mine, so mine would have been heard before.
                    _ = try await other.forget(try key("replaced"), epoch: newer.epoch)
                    #expect(await eventually { mine.all.count > 1 })
                    #expect(mine.all == [.listening, .ended(try key("replaced"), newer.epoch)])
                }
            }
        }
    }

    @Test func `I1 a release returns when the others have dropped their copies`() async throws {
        try await withWorld { world in
            let me = try await world.replica("me")
            let other = try await world.replica("other") { _, tuning in tuning.acknowledgementLimit = .seconds(30) }
            try await listening(me) { mine in
                try await listening(other) { _ in
                    for round in 0..<50 {
                        let key = try key("u\(round)")
                        let epoch = try await lease(other, key, "t\(round)")
                        guard case .ended = try await other.release(key, reason: .released) else {
                            Issue.record("not ended")
                            return
                        }
                        #expect(mine.has(.ended(key, epoch)))
                    }
                    #expect(other.acknowledgements.count == 0)
                }
            }
        }
    }

    @Test func `a release waits no longer than its limit for somebody who never answers`() async throws {
        try await withWorld { world in
            let limit: Duration = .milliseconds(300)
            let me = try await world.replica("me") { _, tuning in tuning.acknowledgementLimit = limit }
            let silent = try world.admin.subscribe(to: "sandbox-manager:test:endings")
            var messages = silent.makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            try await listening(me) { _ in
                try await lease(me, try key(), "a")
                let start = ContinuousClock.now
                guard case .ended = try await me.release(try key(), reason: .released) else {
                    Issue.record("not ended")
                    return
                }
                #expect(start.duration(to: .now) >= limit)
                #expect(me.acknowledgements.count == 0)
            }
        }
    }

    @Test func `a release that nobody hears does not wait, and a cancelled one neither`() async throws {
        try await withWorld { world in
            let me = try await world.replica("me") { _, tuning in tuning.acknowledgementLimit = .seconds(50) }
            try await lease(me, try key("a"), "a")
            _ = try await me.release(try key("a"), reason: .released)
            let silent = try world.admin.subscribe(to: "sandbox-manager:test:endings")
            var messages = silent.makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            try await lease(me, try key("b"), "b")
            let other = try key("b")
            let release = Task { try await me.release(other, reason: .released) }
            // It was told, so the script has run.
            while let message = await messages.next() {
                if case .received(_, let payload) = message, Ending(payload)?.key == other { break }
            }
            release.cancel()
            _ = try? await release.value
            #expect(me.acknowledgements.count == 0)
        }
    }

    @Test func `a replica is told when it is deaf and when it hears again`() async throws {
        try await withWorld { world in
            let me = try await world.replica("me")
            try await listening(me) { heard in
                world.server.kill()
                #expect(await eventually { heard.all == [.listening, .deaf] })
                try await world.server.start()
                #expect(await eventually { heard.all == [.listening, .deaf, .listening] })
            }
        }
    }

    @Test(arguments: ["", "me", "me\n-\n1", "me\n-\nx\na:b", "me\n-\n1\nnokey", "me\n-\n1\na:b\nc"])
    func `what no replica wrote is not heard`(payload: String) {
        #expect(Ending(Array(payload.utf8)) == nil)
    }
}
