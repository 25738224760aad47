import DaemonConfiguration
import SandboxCore
import Testing

@Suite struct DaemonSettingsTests {
    static let defaults: [(String, String)] = [
        ("api.listen", "127.0.0.1:8484"), ("metrics.listen", "127.0.0.1:9484"), ("api.token", "none"),
        ("api.maxConnections", "4096"), ("api.maxPendingRequests", "4096"), ("request.deadlineSeconds", "90"),
        ("provider", "local"), ("environment", "local-machine-1"), ("limits.perUser", "2"), ("limits.total", "100"),
        ("rate.createsPerUserPerMinute", "30"), ("rate.burst", "10"), ("lease.template", "base"),
        ("lease.idleTimeoutSeconds", "500"), ("lease.graceSeconds", "300"), ("lease.maxAgeSeconds", "3600"),
        ("lease.pausedMaxAgeSeconds", "86400"), ("create.timeoutSeconds", "75"), ("create.retries", "2"),
        ("create.retryDelaySeconds", "1"), ("connect.timeoutSeconds", "5"), ("kill.timeoutSeconds", "15"),
        ("health.timeoutSeconds", "5"), ("health.freshWindowSeconds", "30"), ("reaper.intervalSeconds", "30"),
        ("reconciler.intervalSeconds", "300"), ("reconciler.graceSeconds", "120"), ("reconciler.mode", "repair"),
        ("breaker.failureRatio", "0.5"), ("breaker.slowCallSeconds", "10"), ("breaker.minimumCalls", "10"),
        ("breaker.openSeconds", "15"), ("pool.target", "0"), ("pool.perSecond", "1"), ("redis.onOutage", "degrade"),
        ("redis.expectedReplicas", "1"), ("redis.commandTimeoutSeconds", "1"), ("e2b.apiVersion", "v1"),
        ("e2b.maxSessionSeconds", "3600"), ("e2b.domain", "e2b.app"), ("e2b.apiURL", "https://api.e2b.app"),
        ("shutdown.sandboxes", "keep"), ("shutdown.timeoutSeconds", "25"), ("log.level", "info"),
        ("log.format", "text"), ("faults", "none"), ("allowFaults", "false"),
    ]

    @Test(arguments: defaults) func `a key has its documented default`(key: String, value: String) throws {
        #expect(try load().get().effective.value(of: key) == value)
    }

    @Test func `the defaults are those of the core`() throws {
        let manager = try load().get().settings.manager
        var core = ManagerConfiguration()
        core.environment = "local-machine-1"
        #expect("\(manager)" == "\(core)")
    }

    @Test func `the core's configuration is filled from the keys`() throws {
        let manager = try load([
            "--environment=e", "--limits-per-user=3", "--limits-total=4", "--lease-template=t",
            "--lease-idle-timeout-seconds=20", "--lease-grace-seconds=21", "--lease-max-age-seconds=22",
            "--lease-paused-max-age-seconds=23", "--create-timeout-seconds=24", "--create-retries=5",
            "--create-retry-delay-seconds=0.25", "--connect-timeout-seconds=26", "--kill-timeout-seconds=27",
            "--health-timeout-seconds=28", "--health-fresh-window-seconds=29", "--request-deadline-seconds=31",
            "--api-max-pending-requests=32", "--reaper-interval-seconds=33", "--shutdown-timeout-seconds=34",
            "--shutdown-sandboxes=kill", "--breaker-failure-ratio=0.25", "--breaker-slow-call-seconds=35",
            "--breaker-minimum-calls=36", "--breaker-open-seconds=37", "--rate-creates-per-user-per-minute=38",
            "--rate-burst=39", "--faults=user-lock-leak,reaper-failure", "--allow-faults",
        ]).get().settings.manager
        var expected = ManagerConfiguration()
        expected.environment = "e"
        expected.limits = SlotLimits(perUser: 3, total: 4)
        expected.template = "t"
        expected.idleTimeout = .seconds(20)
        expected.grace = .seconds(21)
        expected.maxAge = .seconds(22)
        expected.pausedMaxAge = .seconds(23)
        expected.createTimeout = .seconds(24)
        expected.createRetries = 5
        expected.createRetryDelay = .milliseconds(250)
        expected.connectTimeout = .seconds(26)
        expected.killTimeout = .seconds(27)
        expected.healthTimeout = .seconds(28)
        expected.freshWindow = .seconds(29)
        expected.requestDeadline = .seconds(31)
        expected.maxWaiters = 32
        expected.reaperInterval = .seconds(33)
        expected.shutdownTimeout = .seconds(34)
        expected.shutdownKillsSandboxes = true
        expected.breaker.failureRatio = 0.25
        expected.breaker.slowCall = .seconds(35)
        expected.breaker.minimumCalls = 36
        expected.breaker.open = .seconds(37)
        expected.creationRate = CreationRate(perMinute: 38, burst: 39)
        #expect(manager.faults == [.userLockLeak, .reaperFailure])
        expected.faults = manager.faults
        #expect("\(manager)" == "\(expected)")
    }

    @Test(arguments: [
        ("0.1", Duration.milliseconds(100)), ("2", .seconds(2)), ("2.000001", .microseconds(2_000_001)),
        ("0.000000000000000001", Duration(secondsComponent: 0, attosecondsComponent: 1)), (" 3 ", .seconds(3)),
    ])
    func `seconds take decimals and are exact`(text: String, duration: Duration) throws {
        let arguments = ["--reaper-interval-seconds", text]
        #expect(try load(arguments).get().settings.manager.reaperInterval == duration)
    }

    @Test func `every duration takes decimals`() throws {
        let keys = ConfigurationCatalogue.keys.filter { $0.name.hasSuffix("Seconds") }
        #expect(keys.count == 19)
        let loaded = try load(keys.map { "\($0.flagName)=61.25" }).get()
        for key in keys { #expect(loaded.effective.value(of: key.name) == "61.25") }
    }

    @Test func `an E2B key makes E2B the provider`() throws {
        let settings = try load(environment: ["E2B_API_KEY": "e2b_0123"]).get().settings
        #expect(settings.provider == .e2b)
        #expect(settings.e2b.apiKey == Secret("e2b_0123"))
    }

    @Test func `the provider may be named against the E2B key`() throws {
        #expect(try load(["--provider=local"], environment: ["E2B_API_KEY": "k"]).get().settings.provider == .local)
    }

    @Test func `the environment is shared with Redis`() throws {
        let settings = try load(environment: ["REDIS_URL": "redis://cache"]).get().settings
        #expect(settings.environment == "default")
        #expect(settings.manager.environment == "default")
    }

    @Test(arguments: [
        ("web 1/ä", "local-web-1---"), ("", "local-host"), (String(repeating: "a", count: 99), nil as String?),
    ])
    func `a host name of any shape gives a valid environment`(hostName: String, expected: String?) throws {
        let environment = try load(hostName: hostName).get().settings.environment
        #expect(environment == expected ?? environment)
        #expect(try load(["--environment", environment]).get().settings.environment == environment)
    }

    @Test func `the control plane's address follows the domain`() throws {
        let settings = try load(environment: ["E2B_DOMAIN": "e2b.example"]).get().settings
        #expect(settings.e2b.apiURL == "https://api.e2b.example")
        #expect(settings.e2b.sandboxURL == nil)
    }

    @Test func `a slash at the end of a URL is removed`() throws {
        let environment = ["E2B_API_URL": "http://127.0.0.1:99/", "E2B_SANDBOX_URL": "https://[::1]:1/edge/"]
        let settings = try load(environment: environment).get().settings
        #expect(settings.e2b.apiURL == "http://127.0.0.1:99")
        #expect(settings.e2b.sandboxURL == "https://[::1]:1/edge")
    }

    @Test(arguments: [
        ["--api-token=one,two"], ["--api-token=one", "--api-token-secondary=two"], ["--api-token", " one , two "],
    ])
    func `two tokens are accepted during a rotation`(arguments: [String]) throws {
        #expect(try load(arguments).get().settings.api.tokens == [Secret("one"), Secret("two")])
    }

    @Test func `lists may be sequences in the file`() throws {
        let text = "api:\n  token: [one, two]\nfaults:\n  - user-lock-leak\n  - reaper-failure\n"
        let settings = try load(["--allow-faults"], file: text).get().settings
        #expect(settings.api.tokens == [Secret("one"), Secret("two")])
        #expect(settings.faults == [.userLockLeak, .reaperFailure])
    }

    @Test(arguments: ["api:\n  token: null\n", "api:\n  token: ~\n", "api:\n  token:\n"])
    func `a token that is YAML's nothing is no token`(text: String) throws {
        #expect(try load(file: text).get().settings.api.tokens.isEmpty)
    }

    @Test func `the rate limit is off when one of its numbers is 0`() throws {
        #expect(try load().get().settings.manager.creationRate.isEnabled)
        #expect(try !load(["--rate-burst=0"]).get().settings.manager.creationRate.isEnabled)
    }

    @Test func `odd combinations are noted`() throws {
        let arguments = ["--limits-per-user=9", "--limits-total=8", "--api-token=secret-one"]
        let warnings = try load(arguments).get().warnings
        #expect(warnings.count == 2)
        #expect(try load().get().warnings.isEmpty)
    }
}
