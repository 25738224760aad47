import DaemonConfiguration
import RedisClient
import SandboxCore
import Testing

/// S6, I13: no textual form of anything the module returns shows a secret.
@Suite struct SecrecyTests {
    static let secret = "hunter2"

    static func texts(_ result: Result<LoadedConfiguration, ConfigurationFaults>) -> [String] {
        var dumped = ""
        dump(result, to: &dumped)
        var texts = [dumped, String(describing: result), String(reflecting: result)]
        switch result {
        case .success(let loaded):
            texts += [render(effective: loaded.effective), "\(loaded.settings)", loaded.warnings.joined()]
        case .failure(let refused):
            texts += [render(effective: refused.effective), "\(refused)", refused.faults.map(\.description).joined()]
        }
        return texts
    }

    static let accepted: [String: String] = [
        "E2B_API_KEY": "e2b_\(secret)", "REDIS_URL": "redis://user:\(secret)@cache:6379/0",
        "SANDBOX_MANAGER_API_TOKEN": secret, "SANDBOX_MANAGER_API_TOKEN_SECONDARY": "2\(secret)",
    ]

    @Test func `S6 an accepted configuration shows no secret`() throws {
        let result = load(environment: Self.accepted)
        for text in Self.texts(result) { #expect(!text.contains(Self.secret)) }
        let loaded = try result.get()
        #expect(loaded.effective.value(of: "redis.url") == "redis://:****@cache:6379/0")
        #expect(loaded.effective.value(of: "api.token") == "****")
        #expect(loaded.settings.redis.redactedURL == "redis://:****@cache:6379/0")
        #expect(loaded.settings.redis.url?.reveal() == "redis://user:\(Self.secret)@cache:6379/0")
        #expect(loaded.settings.redis.endpoint?.password == RedisPassword(Self.secret))
    }

    @Test func `secrets in the file and in flags are not shown either`() {
        let text = "e2b: {apiKey: \(Self.secret)}\nredis: {url: 'redis://:\(Self.secret)@c'}\n"
        for shown in Self.texts(load(["--api-token=\(Self.secret)"], file: text)) {
            #expect(!shown.contains(Self.secret))
        }
    }

    @Test(arguments: [
        "redis://:hunter2@cache:99999", "redis://:a/hunter2@cache", "redis://:a@hunter2@cache", "redis://:hunter2",
        "hunter2@cache", "hunter2", "rediss://:hunter2@cache", "redis://cache?password=hunter2",
        "redis://:a?hunter2@cache", "redis://:a#hunter2@cache", "redis://hunter2@cache", "unix://x:hunter2@y/z",
        "redis:// :hunter2@cache",
    ])
    func `S6 a refused Redis URL shows no password`(url: String) {
        let result = load(environment: ["REDIS_URL": url])
        #expect(throws: ConfigurationFaults.self) { try result.get() }
        for text in Self.texts(result) { #expect(!text.contains(Self.secret)) }
    }

    @Test(arguments: [
        ["--api-token=hunter2 x"], ["--api-tokn=hunter2"], ["--api-tokn", "hunter2"], ["--api-token", "a", "hunter2"],
        ["--api-token=hunter2", "--api-token=hunter2"], ["--e2b-api-key=hunter2\u{E4}"], ["hunter2"],
        ["--e2b-api-url=https://user:hunter2@host"], ["--e2b-api-url=hunter2@host"],
        ["--e2b-api-url=https://user:a@hunter2@host"],
        ["--e2b-api-url=https://host/?key=hunter2"],
    ])
    func `a refused command line shows no secret`(arguments: [String]) {
        let result = load(arguments)
        #expect(throws: ConfigurationFaults.self) { try result.get() }
        for text in Self.texts(result) { #expect(!text.contains(Self.secret)) }
    }

    @Test(arguments: [
        "api: {token: hunter2", "api:\n  token: hunter2\n bad", "api:\n  tokn: hunter2\n", "api: [{token: hunter2}]\n",
        "api:\n  token: hunter2\n  token: hunter2\n", "api: {token: [hunter2, b, c]}\n", "hunter2", "a: *hunter2\n",
        "api: {token: {a: hunter2}}\n", "e2b: {apiKey: [hunter2]}\n", "api: \"hunter2\n",
    ])
    func `a refused file shows no secret`(text: String) {
        let result = load(file: text)
        #expect(throws: ConfigurationFaults.self) { try result.get() }
        for shown in Self.texts(result) { #expect(!shown.contains(Self.secret)) }
    }

    @Test func `an unknown variable is reported without its value`() {
        for text in Self.texts(load(environment: ["SANDBOX_MANAGER_TOKEN": Self.secret])) {
            #expect(!text.contains(Self.secret))
        }
    }
}
