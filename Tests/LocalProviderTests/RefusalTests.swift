import LocalProvider
import SandboxCore
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RefusalTests {
    @Test func `another template is refused with 404 and makes nothing`() async throws {
        try await Rig.run { rig in
            let order = try rig.order(template: "python")
            let error = await #expect(throws: ProviderError.self) {
                try await rig.provider.create(order, timeout: .seconds(5))
            }
            #expect(error?.kind == .http(status: 404))
            #expect(error?.effect == ProviderError.Effect.none)
            #expect(error?.detail.contains("base") == true)
        }
    }

    @Test(arguments: [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "secret\0")])
    func `an environment variable that cannot be passed on is refused without its value`(
        name: String,
        value: String
    ) async throws {
        try await Rig.run { rig in
            let error = await #expect(throws: ProviderError.self) {
                try await rig.create(environment: [name: Secret(value)])
            }
            #expect(error?.kind == .http(status: 400))
            #expect(error?.detail.contains("secret") == false)
        }
    }

    @Test func `pausing is not supported`() async throws {
        try await Rig.run { rig in
            let error = await #expect(throws: ProviderError.self) {
                try await rig.provider.pause(SandboxID("x"), timeout: .seconds(5))
            }
            #expect(error?.kind == .unsupported)
        }
    }

    @Test(.enabled(if: bubblewrapWorks, "bubblewrap works on this machine"))
    func `more sandboxes than configured are refused until one ends`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.maxSandboxes = 1
        try await Rig.run(configuration) { rig in
            let first = try await rig.create()
            let error = await #expect(throws: ProviderError.self) { try await rig.create() }
            #expect(error?.kind == .concurrencyLimit)
            _ = try await rig.provider.kill(first.id, timeout: .seconds(10))
            _ = try await rig.create()
        }
    }

    @Test(.enabled(if: bubblewrapWorks, "bubblewrap works on this machine"))
    func `a creation without time ends as a timeout and leaves nothing`() async throws {
        try await Rig.run { rig in
            let order = try rig.order()
            let error = await #expect(throws: ProviderError.self) {
                try await rig.provider.create(order, timeout: .zero)
            }
            #expect(error?.kind == .timedOut(after: .zero))
            #expect(error?.effect == ProviderError.Effect.none)
            #expect(try await rig.provider.list(.environment("test"), timeout: .seconds(5)).isEmpty)
        }
    }

    @Test func `a missing bubblewrap or supervisor is diagnosed with a remedy, and creations say so`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.bwrapPath = "/nonexistent/bwrap"
        configuration.initPath = "/nonexistent/sandbox-init"
        let found = LocalProvider.diagnose(configuration)
        #expect(found.count == 2)
        #expect(found.first?.remedy.contains("apt-get install bubblewrap") == true)
        #expect(found.last?.problem.contains("/nonexistent/sandbox-init") == true)
        try await Rig.run(configuration) { rig in
            let error = await #expect(throws: ProviderError.self) { try await rig.create() }
            #expect(error?.kind == .unavailable)
            #expect(error?.effect == ProviderError.Effect.none)
        }
    }

    @Test func `a bubblewrap that fails is diagnosed in its own words`() async throws {
        var configuration = LocalProviderConfiguration()
        // Knows none of the options, and says so.
        configuration.bwrapPath = "/bin/cat"
        let found = LocalProvider.diagnose(configuration)
        #expect(found.count == 1)
        #expect(found.first?.problem.contains("unrecognized option") == true)
        try await Rig.run(configuration) { rig in
            let error = await #expect(throws: ProviderError.self) { try await rig.create() }
            #expect(error?.kind == .unavailable)
            #expect(error?.detail.contains("unrecognized option") == true)
        }
    }

    @Test func `the start-up log can name what is not limited`() {
        #expect(Rig().provider.limitations.contains { $0.contains("memory") })
    }
}
