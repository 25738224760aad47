import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)), .enabled(if: RedisProcess.isInstalled))
struct SubscriptionTests {
    @Test func `messages arrive in order, with their channel and any bytes`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            var messages = try client.subscribe(to: "a", "b", "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            #expect(try await client.send(.publish([0, 1], to: "a")) == .integer(1))
            _ = try await client.send(.publish([], to: "b"))
            _ = try await client.send(.publish([9], to: "c"))
            _ = try await client.send(.publish([2], to: "a"))
            #expect(await messages.next() == .received(channel: [97], payload: [0, 1]))
            #expect(await messages.next() == .received(channel: [98], payload: []))
            #expect(await messages.next() == .received(channel: [97], payload: [2]))
        }
    }

    @Test func `a lost subscription is told, regained by itself and told again`() async throws {
        let server = try await RedisProcess()
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            _ = try await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
            #expect(await messages.next() == .lost(.reset(wasSent: true)))
            #expect(await messages.next() == .subscribed)
            server.kill()
            guard case .lost = await messages.next() else {
                Issue.record("the loss was not told")
                return
            }
            try await server.start()
            #expect(await messages.next() == .subscribed)
            #expect(await eventually { client.state == .connected })
            _ = try await client.send(.publish([3], to: "a"))
            #expect(await messages.next() == .received(channel: [97], payload: [3]))
        }
        let changes = observer.recorded.changes
        #expect(changes.filter { $0.hasSuffix(">closed") }.count <= 2)
        #expect(await eventually { observer.recorded.changes.filter { $0.hasSuffix(">closed") }.count == 2 })
    }

    @Test func `a subscription to a server that hangs is told as lost`() async throws {
        let server = try await RedisProcess()
        let change: (inout RedisConfiguration) -> Void = {
            $0.subscriptionPingInterval = .milliseconds(100)
            $0.commandTimeout = .milliseconds(300)
        }
        try await withClient(.socket(server), change) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            server.stop()
            guard case .lost(.timedOut) = await messages.next() else {
                Issue.record("the loss was not told")
                return
            }
            server.resume()
            #expect(await messages.next() == .subscribed)
        }
    }

    @Test func `an idle subscription stays`() async throws {
        let server = try await RedisProcess()
        let observer = RecordingObserver()
        try await withClient(.socket(server), observer: observer, { $0.subscriptionPingInterval = .milliseconds(20) }) {
            client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            #expect(
                await eventually {
                    let info = try? await client.send(RedisCommand("INFO", "commandstats")).text
                    let line = info?.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_ping:calls=") }
                    return (line?.dropFirst(19).prefix { $0 != "," }).flatMap { Int($0) } ?? 0 > 10
                }
            )
            _ = try await client.send(.publish([3], to: "a"))
            #expect(await messages.next() == .received(channel: [97], payload: [3]))
            #expect(observer.recorded.reconnects.isEmpty)
        }
    }

    @Test func `a subscription that cannot be made is told, and made later`() async throws {
        let server = try await RedisProcess()
        server.kill()
        try await withClient(.socket(server)) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            guard case .lost(.refused) = await messages.next() else {
                Issue.record("the failure was not told")
                return
            }
            try await server.start()
            #expect(await messages.next() == .subscribed)
        }
    }

    @Test func `a slow reader is told that messages are missing`() async throws {
        let server = try await RedisProcess()
        let change: (inout RedisConfiguration) -> Void = {
            $0.subscriptionBuffer = 5
            $0.subscriptionPingInterval = .milliseconds(20)
        }
        try await withClient(.socket(server), change) { client async throws in
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            for number in 0..<20 { _ = try await client.send(.publish([UInt8(number)], to: "a")) }
            // The reader pauses here until the buffer is full; what it has then is unbroken.
            var heard: [RedisMessage] = []
            while let message = await messages.next() {
                heard.append(message)
                if message == .subscribed { break }
            }
            #expect(heard.suffix(2) == [.lost(.queueFull(limit: 5)), .subscribed])
            #expect(heard.dropLast(2).enumerated().allSatisfy { $1 == .received(channel: [97], payload: [UInt8($0)]) })
        }
    }

    @Test func `a reader who lets go ends the subscription, and close ends the stream`() async throws {
        let server = try await RedisProcess()
        try await withClient(.socket(server)) { client async throws in
            func listen() async throws {
                var messages = try client.subscribe(to: "a").makeAsyncIterator()
                #expect(await messages.next() == .subscribed)
                #expect(try await client.send(.publish([1], to: "a")) == .integer(1))
            }
            try await listen()
            #expect(await eventually { (try? await client.send(.publish([1], to: "a"))) == .integer(0) })
            var messages = try client.subscribe(to: "a").makeAsyncIterator()
            #expect(await messages.next() == .subscribed)
            await client.close()
            #expect(await messages.next() == nil)
        }
    }

    @Test func `a subscription needs a channel`() async throws {
        try await withClient(.port(1)) { client async throws in
            #expect(throws: RedisError.self) { try client.subscribe(to: [[UInt8]]()) }
        }
    }
}
