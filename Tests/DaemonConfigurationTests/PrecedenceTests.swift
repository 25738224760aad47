import DaemonConfiguration
import SandboxCore
import Testing

@Suite struct PrecedenceTests {
    let file = """
        limits:
          perUser: 5
          total: 50
        lease:
          template: from-file
        """

    @Test func `the default holds when nobody sets a key`() throws {
        let loaded = try load().get()
        #expect(loaded.settings.manager.limits.perUser == 2)
        #expect(loaded.effective.source(of: "limits.perUser") == .builtIn)
    }

    @Test func `the file wins over the default`() throws {
        let loaded = try load(file: file).get()
        #expect(loaded.settings.manager.limits == SlotLimits(perUser: 5, total: 50))
        #expect(loaded.effective.source(of: "limits.perUser") == .file("/etc/manager.yaml"))
        #expect(loaded.file == "/etc/manager.yaml")
    }

    @Test func `the environment wins over the file`() throws {
        let loaded = try load(environment: ["SANDBOX_MANAGER_LIMITS_PER_USER": "6"], file: file).get()
        #expect(loaded.settings.manager.limits == SlotLimits(perUser: 6, total: 50))
        #expect(
            loaded.effective.source(of: "limits.perUser") == .environment("SANDBOX_MANAGER_LIMITS_PER_USER")
        )
    }

    @Test(arguments: [["--limits-per-user", "7"], ["--limits-per-user=7"]])
    func `a flag wins over environment and file`(arguments: [String]) throws {
        let loaded = try load(arguments, environment: ["SANDBOX_MANAGER_LIMITS_PER_USER": "6"], file: file).get()
        #expect(loaded.settings.manager.limits == SlotLimits(perUser: 7, total: 50))
        #expect(loaded.effective.source(of: "limits.perUser") == .flag("--limits-per-user"))
    }

    /// A value that is valid for each key and differs from its default.
    static let otherValues: [String: String] = [
        "provider": "simulated", "environment": "staging", "api.listen": "127.0.0.2:1",
        "api.token": "token-of-the-api-1",
        "api.tokenSecondary": "token-of-the-api-2", "metrics.listen": "127.0.0.3:2", "limits.perUser": "3",
        "lease.template": "other", "redis.url": "redis://cache:6380/3", "redis.onOutage": "refuse",
        "e2b.apiKey": "e2b_0123456789", "e2b.domain": "example.test", "e2b.apiURL": "https://control.example.test",
        "e2b.sandboxURL": "https://edge.example.test", "e2b.apiVersion": "v2", "shutdown.sandboxes": "kill",
        "log.level": "debug", "log.format": "json", "faults": "user-lock-leak", "allowFaults": "true",
        "reconciler.mode": "observe", "breaker.failureRatio": "0.25", "pool.perSecond": "2.5",
    ]

    static func otherValue(of key: ConfigurationKey) -> String {
        if key.name == "lease.maxAgeSeconds" { return "600.5" }
        return otherValues[key.name] ?? (key.unit == "seconds" ? "61.5" : "9")
    }

    static let keys = ConfigurationCatalogue.keys.filter { $0.name != "config" }

    /// What else must be set for a value to be accepted.
    static let companions = ["SANDBOX_MANAGER_ALLOW_FAULTS": "1", "SANDBOX_MANAGER_API_TOKEN": "token-of-the-api-0"]

    static func isAccepted(_ value: String, of key: ConfigurationKey, in loaded: LoadedConfiguration) -> Bool {
        let shown = loaded.effective.value(of: key.name)
        return key.isSecret && key.name != "redis.url" ? shown == "****" : shown == value
    }

    @Test(arguments: keys) func `every key is read from its flag`(key: ConfigurationKey) throws {
        let value = Self.otherValue(of: key)
        let loaded = try load(["\(key.flagName)=\(value)"], environment: Self.companions).get()
        #expect(Self.isAccepted(value, of: key, in: loaded))
        #expect(loaded.effective.source(of: key.name) == .flag(key.flagName))
    }

    @Test(arguments: keys) func `T15 every key is read from its environment variable`(key: ConfigurationKey) throws {
        let value = Self.otherValue(of: key)
        var environment = Self.companions
        environment[key.environmentName] = value
        let loaded = try load(environment: environment).get()
        #expect(Self.isAccepted(value, of: key, in: loaded))
        #expect(loaded.effective.source(of: key.name) == .environment(key.environmentName))
    }

    @Test(arguments: keys.filter { $0.isAllowedInFile && $0.name != "api.token" })
    func `every key is read from the file`(key: ConfigurationKey) throws {
        let value = Self.otherValue(of: key)
        let parts = key.name.split(separator: ".").map(String.init)
        let text = parts.count == 1 ? "\(parts[0]): \(value)" : "\(parts[0]):\n  \(parts[1]): \(value)"
        let loaded = try load(environment: Self.companions, file: text).get()
        #expect(Self.isAccepted(value, of: key, in: loaded))
        #expect(loaded.effective.source(of: key.name) == .file("/etc/manager.yaml"))
    }

    @Test func `the file's path may come from the environment`() throws {
        let text = file
        let loaded = try DaemonSettings.load(
            arguments: [],
            environment: ["SANDBOX_MANAGER_CONFIG": "/other.yaml"],
            hostName: "machine-1",
            readFile: { path in
                #expect(path == "/other.yaml")
                return text
            }
        ).get()
        #expect(loaded.settings.manager.template == "from-file")
    }

    @Test func `an empty variable counts as not set`() throws {
        let environment = ["SANDBOX_MANAGER_LIMITS_PER_USER": "", "REDIS_URL": " ", "SANDBOX_MANAGER_UNKNOWN": ""]
        let loaded = try load(environment: environment, file: file).get()
        #expect(loaded.settings.manager.limits.perUser == 5)
        #expect(loaded.settings.redis.url == nil)
    }

    @Test func `an empty flag switches an optional setting off`() throws {
        let loaded = try load(["--redis-url="], environment: ["REDIS_URL": "redis://cache"]).get()
        #expect(loaded.settings.redis.url == nil)
        #expect(loaded.effective.value(of: "redis.url") == "none")
    }

    @Test func `a bad value that is overridden does no harm`() throws {
        let loaded = try load(["--limits-per-user", "3"], file: "limits:\n  perUser: many\n").get()
        #expect(loaded.settings.manager.limits.perUser == 3)
    }

    @Test(arguments: ["", "# only words\n\n---\n"]) func `an empty file is a valid file`(text: String) throws {
        #expect(try load(file: text).get().settings.manager.limits.perUser == 2)
    }
}
