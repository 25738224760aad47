import CurlTransport
import E2BProvider
import FakeE2B
import SandboxCore
import SystemRuntime

/// A fake cloud and a provider that talks to it through real libcurl.
struct Fixture {
    static let apiKey = "e2b_" + String(repeating: "0123456789abcdef", count: 2) + "01234567"

    let fake: FakeE2BServer
    let provider: E2BProvider

    init(
        _ version: E2BConfiguration.APIVersion = .v1,
        cloud: FakeE2BConfiguration = FakeE2BConfiguration(),
        _ adjust: (inout E2BConfiguration) -> Void = { _ in }
    ) throws {
        fake = try FakeE2BServer(cloud)
        provider = try Self.provider(fake, version, adjust)
    }

    static func provider(
        _ fake: FakeE2BServer,
        _ version: E2BConfiguration.APIVersion = .v1,
        _ adjust: (inout E2BConfiguration) -> Void = { _ in }
    ) throws -> E2BProvider {
        var configuration = E2BConfiguration(apiKey: Secret(apiKey))
        configuration.apiURL = fake.apiURL
        configuration.sandboxURL = fake.sandboxURL
        configuration.apiVersion = version
        adjust(&configuration)
        return try E2BProvider(configuration: configuration, time: SystemTime())
    }

    /// Creates what ``CreateRequest/sample(user:project:token:environment:life:)`` orders, after `adjust`.
    func create(_ adjust: (inout CreateRequest) -> Void = { _ in }) async throws(ProviderError) -> ProviderSandbox {
        var order = try CreateRequest.sample()
        adjust(&order)
        return try await provider.create(order, timeout: .seconds(5))
    }

    func requests(_ operation: String) -> [FakeExchange] { fake.journal.filter { $0.operation == operation } }
}

extension CreateRequest {
    static func sample(
        user: String = "u1",
        project: String = "p1",
        token: CreationToken = CreationToken(from: SystemRandom()),
        environment: String = "test",
        life: Duration = .seconds(120)
    ) throws(ProviderError) -> CreateRequest {
        let key: LeaseKey
        do throws(ManagerError) {
            key = try LeaseKey(user: user, project: project)
        } catch {
            throw ProviderError(.create, .malformed, "\(error)", effect: .none)
        }
        return CreateRequest(
            template: "base",
            metadata: [:],
            environment: ["API_TOKEN": Secret("a-secret-of-the-user")],
            life: life,
            labels: SandboxLabels(key: key, token: token, environment: environment, epoch: Epoch(7))
        )
    }
}

let soon: Duration = .seconds(5)

/// What a call throws; `nil` if it returns.
func failure<Value>(_ call: () async throws(ProviderError) -> Value) async -> ProviderError? {
    do throws(ProviderError) {
        _ = try await call()
        return nil
    } catch {
        return error
    }
}

/// Waits until a condition holds, at most `limit`.
func eventually(within limit: Duration = .seconds(10), _ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return await condition()
}
