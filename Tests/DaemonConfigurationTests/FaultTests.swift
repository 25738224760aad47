import DaemonConfiguration
import SandboxCore
import Testing

@Suite struct FaultTests {
    static let badValues: [(String, String)] = [
        ("limits.perUser", "many"), ("limits.perUser", "0"), ("limits.perUser", "-1"), ("limits.perUser", "2.5"),
        ("limits.total", "0"), ("limits.total", "99999999999999999999"), ("create.retries", "-1"),
        ("api.listen", "8484"), ("api.listen", ":8484"), ("api.listen", "*:8484"), ("api.listen", "127.0.0.1"),
        ("api.listen", "127.0.0.1:"), ("api.listen", "127.0.0.1:65536"), ("api.listen", "127.0.0.1:-1"),
        ("api.listen", "127.0.0.1:+1"), ("api.listen", "127.0.0.256:1"), ("api.listen", "::1:8484"),
        ("api.listen", "[::g]:8484"), ("api.listen", "[::1]"), ("api.listen", "example.com:80"),
        ("metrics.listen", "[127.0.0.1]:1"), ("request.deadlineSeconds", "0"), ("request.deadlineSeconds", "-5"),
        ("request.deadlineSeconds", "1e3"), ("request.deadlineSeconds", "inf"), ("request.deadlineSeconds", "nan"),
        ("request.deadlineSeconds", "5s"), ("request.deadlineSeconds", ".5"), ("request.deadlineSeconds", "5."),
        ("request.deadlineSeconds", "31536001"), ("request.deadlineSeconds", "1,5"),
        ("request.deadlineSeconds", "0x10"), ("lease.idleTimeoutSeconds", "14.999"),
        ("breaker.failureRatio", "1.01"), ("breaker.failureRatio", "0"), ("breaker.failureRatio", "nan"),
        ("pool.perSecond", "0"), ("pool.target", "-1"), ("provider", "E2B"), ("provider", "docker"),
        ("redis.onOutage", "ignore"), ("redis.expectedReplicas", "0"), ("e2b.apiVersion", "v3"),
        ("shutdown.sandboxes", "pause"), ("log.level", "verbose"), ("log.format", "xml"),
        ("reconciler.mode", "report"), ("environment", "a b"), ("environment", String(repeating: "a", count: 65)),
        ("e2b.domain", "https://e2b.app"), ("e2b.apiURL", "api.e2b.app"), ("e2b.apiURL", "https://"),
        ("e2b.apiURL", "https://host:0"), ("e2b.apiURL", "https://host/?q"), ("e2b.sandboxURL", "ftp://host"),
        ("faults", "user-lock-leek"), ("faults", "user-lock-leak,,reaper-failure"), ("api.token", "a,b,c"),
        ("api.token", "a,"), ("api.token", "with blank"), ("api.token", "ümlaut"), ("redis.url", "cache:6379"),
        ("redis.url", "http://cache"), ("lease.template", "a b"),
    ]

    @Test(arguments: badValues) func `a bad value is refused by key and source`(name: String, value: String) throws {
        let key = try #require(ConfigurationCatalogue.key(named: name))
        let found = faults(["\(key.flagName)=\(value)"])
        #expect(found.map(\.key) == [name])
        #expect(found.first?.source == .flag(key.flagName))

        let fromEnvironment = faults(environment: [key.environmentName: value])
        #expect(fromEnvironment.map(\.key) == [name])
        #expect(fromEnvironment.first?.source == .environment(key.environmentName))
    }

    @Test func `bad values in the file are refused`() {
        let text = "limits: {perUser: 2.0, total: [1, 2]}\nlease: {template: ''}\nlog: {level: true}\n"
        let found = faults(file: text)
        #expect(Set(found.map(\.key)) == ["limits.perUser", "limits.total", "lease.template", "log.level"])
        #expect(found.problem(of: "limits.total")?.contains("is a list") == true)
        #expect(found.problem(of: "lease.template")?.contains("is empty") == true)
    }

    @Test func `all faults of all sources are reported at once`() {
        let found = faults(
            ["--limit-per-user", "3", "--log-level=loud", "stray"],
            environment: ["SANDBOX_MANAGER_LIMITS_TOTAL": "none", "SANDBOX_MANAGER_LOGLEVEL": "info"],
            file: "reaper:\n  intervalSeconds: soon\n  interval: 5\nfaults: user-lock-leak\n"
        )
        #expect(
            Set(found.map(\.key)) == [
                "--limit-per-user", "argument 6", "SANDBOX_MANAGER_LOGLEVEL", "reaper.interval", "log.level",
                "limits.total", "reaper.intervalSeconds", "faults",
            ]
        )
        #expect(found.count == 8)
    }

    @Test func `a refused configuration can still be printed`() throws {
        guard case .failure(let refused) = load(["--limits-per-user=many", "--limits-total=7"]) else {
            Issue.record("accepted")
            return
        }
        let text = render(effective: refused.effective)
        #expect(text.contains("limits.perUser = many  (flag --limits-per-user, refused)\n"))
        #expect(text.contains("limits.total = 7  (flag --limits-total)\n"))
        #expect(refused.description.contains("limits.perUser: \"many\" is not a whole number (flag --limits-per-user)"))
    }

    @Test(arguments: [
        ("--limit-per-user", "--limits-per-user"), ("--limits-peruser", "--limits-per-user"),
        ("-limits-per-user", "--limits-per-user"), ("--limits.perUser", "--limits-per-user"),
        ("--limits-per-uesr", "--limits-per-user"), ("--api-lisen", "--api-listen"), ("--hepl", "--help"),
    ])
    func `a misspelt flag is refused with the one that was meant`(flag: String, meant: String) {
        let problem = faults([flag, "3"]).problem(of: flag)
        #expect(problem == "is not a known flag; did you mean \(meant)?")
    }

    @Test(arguments: [
        ("SANDBOX_MANAGER_LIMIT_PER_USER", "SANDBOX_MANAGER_LIMITS_PER_USER"),
        ("SANDBOX_MANAGER_LIMITS_PERUSER", "SANDBOX_MANAGER_LIMITS_PER_USER"),
        ("SANDBOX_MANAGER_E2B_API_KEY", "E2B_API_KEY"), ("SANDBOX_MANAGER_REDIS_URL", "REDIS_URL"),
    ])
    func `a misspelt variable is refused with the one that was meant`(name: String, meant: String) {
        #expect(faults(environment: [name: "3"]).problem(of: name) == "is not a known variable; did you mean \(meant)?")
    }

    @Test(arguments: [
        ("limits.per_user", "limits.perUser"), ("limit.perUser", "limits.perUser"), ("perUser", "limits.perUser"),
        ("lease.idleTimeout", "lease.idleTimeoutSeconds"), ("limits.perUsr", "limits.perUser"),
    ])
    func `a misspelt key in the file is refused with the one that was meant`(name: String, meant: String) {
        #expect(faults(file: "\(name): 3\n").problem(of: name) == "is not a known key; did you mean \(meant)?")
    }

    @Test func `a name like no other is refused without a guess`() {
        #expect(faults(["--colour=red"]).problem(of: "--colour") == "is not a known flag")
        #expect(faults(file: "zzz: {yyy: 1}\n").problem(of: "zzz.yyy") == "is not a known key")
    }

    @Test func `variables of others are no faults`() throws {
        let environment = ["PATH": "/bin", "E2B_ACCESS_TOKEN": "x", "REDIS_HOST": "x", "SANDBOX_MANAGERX": "1"]
        _ = try load(environment: environment).get()
    }

    @Test func `the variables of a Kubernetes Service of our name are no faults`() throws {
        _ = try load(environment: [
            "SANDBOX_MANAGER_SERVICE_HOST": "10.0.0.1", "SANDBOX_MANAGER_SERVICE_PORT": "8484",
            "SANDBOX_MANAGER_SERVICE_PORT_API": "8484", "SANDBOX_MANAGER_PORT": "tcp://10.0.0.1:8484",
            "SANDBOX_MANAGER_PORT_8484_TCP": "tcp://10.0.0.1:8484", "SANDBOX_MANAGER_PORT_8484_TCP_PROTO": "tcp",
            "SANDBOX_MANAGER_PORT_8484_TCP_PORT": "8484", "SANDBOX_MANAGER_PORT_8484_TCP_ADDR": "10.0.0.1",
            "SANDBOX_MANAGER_METRICS_PORT_9484_TCP": "tcp://10.0.0.2:9484",
        ]).get()
        #expect(faults(environment: ["SANDBOX_MANAGER_PORT": "8484"]).count == 1)
    }

    @Test func `flags without a value, given twice or without a name are refused`() {
        #expect(faults(["--limits-per-user"]).problem(of: "limits.perUser")?.contains("has no value") == true)
        #expect(faults(["--log-level", "--allow-faults"]).problem(of: "log.level")?.contains("has no value") == true)
        let twice = faults(["--limits-total=3", "--limits-total=4"])
        #expect(twice.problem(of: "limits.total") == "is given twice")
        #expect(faults(["stray"]).map(\.source) == [.commandLine])
    }

    @Test func `a negative number is taken for a value`() {
        #expect(faults(["--limits-total", "-4"]).problem(of: "limits.total")?.contains("out of range") == true)
    }

    @Test func `a file that cannot be read is a fault`() {
        let found = faults(["--config", "/nowhere.yaml", "--limits-total=0"])
        #expect(found.problem(of: "config") == "cannot be read: no such file")
        #expect(found.count == 2)
    }

    @Test(arguments: [
        ("- a\n- b\n", "is not a YAML mapping"), ("a: [\n", "is not valid YAML at line 2"),
        ("limits: {total: 1, total: 2}\n", "has a key twice"), ("faults: [{a: 1}]\n", "has a list of something other"),
        ("\t:\n\t- x", "is not valid YAML"),
    ])
    func `a malformed file is refused`(text: String, problem: String) {
        #expect(faults(file: text).problem(of: "config")?.hasPrefix(problem) == true)
    }

    @Test func `a key in two spellings in one file is refused`() {
        #expect(faults(file: "limits:\n  total: 3\nlimits.total: 4\n").problem(of: "limits.total") == "is given twice")
    }

    @Test func `a group without keys is refused in words`() {
        #expect(faults(file: "limits:\n").problem(of: "limits")?.contains("is a group of keys") == true)
    }

    @Test func `the file cannot allow faults or name another file`() {
        let found = faults(file: "allowFaults: true\nconfig: /b\n")
        #expect(found.problem(of: "allowFaults")?.contains("is not accepted in the file") == true)
        #expect(found.problem(of: "config")?.contains("is not accepted in the file") == true)
    }

    @Test func `a choice that is misspelt is refused with the one that was meant`() {
        #expect(
            faults(["--faults=user-lock-leek"]).problem(of: "faults")?.hasSuffix("did you mean user-lock-leak?") == true
        )
    }

    @Test func `control characters of a bad value are shown escaped`() {
        let problem = faults(["--log-level=a\u{1B}[31m\nb"]).problem(of: "log.level")
        #expect(problem?.hasPrefix("\"a\\u{1b}[31m\\u{a}b\" is not one of") == true)
    }
}
