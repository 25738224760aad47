import SandboxCore
import StandIns
import TestSupport
import Testing

@Suite struct LeaseKeyTests {
    @Test(arguments: ["", "a b", "a\nb", "a:b", "*", "ü", "a/b", "a\u{0}b", "%41", String(repeating: "x", count: 129)])
    func `S5 an id outside the charset or bounds is refused without repeating it`(id: String) throws {
        for make in [{ try LeaseKey(user: id, project: "p") }, { try LeaseKey(user: "u", project: id) }] {
            let error = try #require(throws: ManagerError.self) { try make() }
            #expect(error.reason == .invalidArgument)
            guard case .invalidArgument(let text) = error else { return }
            #expect(id.isEmpty || id.count < 3 || !text.contains(id))
        }
    }

    @Test func `S5 a megabyte of rubbish is refused`() {
        #expect(throws: ManagerError.self) { try LeaseKey(user: String(repeating: "a", count: 1 << 20), project: "p") }
    }

    @Test func `S5 128 bytes of everything allowed pass`() throws {
        let all = "azAZ09._-@+=|"
        let id = all + String(repeating: "x", count: 128 - all.count)
        #expect(try LeaseKey(user: id, project: id).canonical == "\(id):\(id)")
    }

    @Test(arguments: UInt64(0)..<20)
    func `S1 two different keys never share a canonical name`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        // A tiny alphabet makes collisions of a bad encoding likely.
        let alphabet = Array("ab.-=|")
        var names: [String: LeaseKey] = [:]
        for _ in 0..<2000 {
            let ids = (0..<2).map { _ in
                String(
                    (0..<Int.random(in: 1...4, using: &random)).compactMap { _ in alphabet.randomElement(using: &random)
                    }
                )
            }
            let key = try LeaseKey(user: ids[0], project: ids[1])
            if let other = names[key.canonical] { #expect(other == key) }
            names[key.canonical] = key
        }
    }

    @Test func `S1 the keys that once collided cannot even be made`() {
        #expect(throws: ManagerError.self) { try LeaseKey(user: "a:b", project: "c") }
        #expect(throws: ManagerError.self) { try LeaseKey(user: "a", project: "b:c") }
    }
}

@Suite struct SecretTests {
    private let text = "hunter2-token"

    private func texts(of value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return [String(describing: value), String(reflecting: value), "\(value)", dumped]
    }

    @Test func `S6 a secret shows in no textual form, whatever encloses it`() throws {
        let secret = Secret(text)
        let key = try LeaseKey(user: "alice", project: "p")
        let token = CreationToken("t")
        let labels = SandboxLabels(key: key, token: token, environment: "e", epoch: Epoch(1))
        let sandbox = ProviderSandbox(
            id: SandboxID("sb"),
            template: "base",
            envdAccessToken: secret,
            trafficAccessToken: secret,
            remainingLife: .seconds(1)
        )
        let record = LeaseRecord(
            key: key,
            epoch: Epoch(1),
            token: token,
            sandbox: sandbox,
            createdAt: WallTime(sinceEpoch: .zero),
            age: .zero,
            idle: .zero,
            idleTimeout: .zero
        )
        let order = CreateRequest(
            template: "base",
            metadata: [:],
            environment: ["KEY": secret],
            life: .seconds(1),
            labels: labels
        )
        let info = SandboxInfo(
            sandbox: sandbox,
            state: .running,
            startedAt: WallTime(sinceEpoch: .zero),
            metadata: [:],
            labels: labels
        )
        let values: [Any] = [
            secret, [secret], ["k": secret], Optional(secret) as Any, sandbox, record, order, info,
            AcquireOptions(environment: ["KEY": secret]), StoreEntry.lease(record), ReserveOutcome.leased(record),
            ConnectedSandbox(sandbox: sandbox, resumed: true), DueLease(record: record, reason: .idle),
        ]
        for value in values {
            for shown in texts(of: value) { #expect(!shown.contains(text), "\(type(of: value)): \(shown)") }
        }
        #expect(Mirror(reflecting: secret).children.isEmpty)
        #expect(secret.reveal() == text)
    }
}

@Suite struct AcquireOptionsTests {
    @Test(arguments: SandboxLabels.reservedMetadataNames.sorted())
    func `S3 the manager's own metadata names are refused`(name: String) async throws {
        let world = World()
        await #expect(throws: ManagerError.invalidArgument("metadata name \(name) is reserved for the manager")) {
            try await world.manager.acquire(try key(), AcquireOptions(metadata: [name: "bob"]))
        }
        #expect(world.provider.calls.isEmpty)
        await world.expectQuiet()
    }

    @Test func `S3 wishes are refused although a fresh lease would need none of them`() async throws {
        let world = World()
        _ = try await world.manager.acquire(try key())
        await #expect(throws: ManagerError.self) {
            try await world.manager.acquire(try key(), AcquireOptions(metadata: ["user_id": "bob"]))
        }
        #expect(world.observer.record.failures[.acquire] == [.invalidArgument: 1])
    }

    @Test(arguments: [
        AcquireOptions(template: ""), AcquireOptions(template: "a b"), AcquireOptions(template: "a\n"),
        AcquireOptions(template: String(repeating: "t", count: 257)), AcquireOptions(metadata: ["": "x"]),
        AcquireOptions(environment: ["1A": Secret("x")]), AcquireOptions(environment: ["A=B": Secret("x")]),
        AcquireOptions(environment: ["": Secret("x")]), AcquireOptions(environment: ["A": Secret("x\u{0}y")]),
        AcquireOptions(idleTimeout: .seconds(14)), AcquireOptions(idleTimeout: .seconds(3601)),
    ])
    func `wishes that must not reach a provider are refused`(options: AcquireOptions) async throws {
        let world = World()
        let error = await #expect(throws: ManagerError.self) { try await world.manager.acquire(try key(), options) }
        #expect(error?.reason == .invalidArgument)
        #expect(world.manager.gauges().usage == StoreUsage())
        await world.expectQuiet()
    }

    @Test func `wishes within the bounds reach the provider`() async throws {
        let world = World()
        let options = AcquireOptions(
            template: "py",
            metadata: ["team": "x"],
            environment: ["A_1": Secret("v")],
            idleTimeout: .seconds(15)
        )
        _ = try await world.manager.acquire(try key(), options)
        let order = try #require(world.provider.calls.first?.order)
        #expect(order.template == "py")
        #expect(order.metadata == ["team": "x"])
        #expect(order.environment == ["A_1": Secret("v")])
        #expect(order.life == .seconds(315))
        #expect(order.labels.key == (try key()))
    }
}
