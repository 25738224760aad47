import DaemonConfiguration
import SandboxCore
import Testing

@Suite struct CrossCheckTests {
    @Test(arguments: ["0.0.0.0:8484", "[::]:8484", "10.1.2.3:8484", "[::ffff:127.0.0.1]:1", "0.0.0.0:0"])
    func `an address beyond loopback needs a token`(address: String) throws {
        let problem = faults(["--api-listen", address]).problem(of: "api.listen")
        #expect(problem?.contains("no token is set") == true)
        _ = try load(["--api-listen", address, "--api-token", "secret"]).get()
    }

    @Test(arguments: ["127.0.0.1:0", "127.9.9.9:1", "[::1]:8484", "[0:0::1]:8484", "localhost:8484"])
    func `loopback needs no token`(address: String) throws {
        #expect(try load(["--api-listen", address]).get().settings.api.listener.isLoopback)
    }

    @Test func `a bad token is not also a missing token`() {
        #expect(faults(["--api-listen=0.0.0.0:1", "--api-token=a b"]).map(\.key) == ["api.token"])
    }

    @Test func `metrics may be open to the network without a token`() throws {
        #expect(
            try load(["--metrics-listen=0.0.0.0:9484"]).get().settings.metrics == Listener(host: "0.0.0.0", port: 9484)
        )
    }

    @Test func `the two listeners need an address each`() throws {
        #expect(faults(["--metrics-listen=localhost:8484"]).problem(of: "metrics.listen")?.contains("one each") == true)
        _ = try load(["--metrics-listen=127.0.0.1:0", "--api-listen=127.0.0.1:0"]).get()
    }

    @Test func `the provider E2B needs its key`() {
        #expect(faults(["--provider=e2b"]).problem(of: "provider")?.contains("set E2B_API_KEY") == true)
    }

    @Test func `faults are refused unless they are allowed`() throws {
        #expect(faults(["--faults=user-lock-leak"]).problem(of: "faults")?.contains("--allow-faults") == true)
        let environment = ["SANDBOX_MANAGER_FAULTS": "user-lock-leak", "SANDBOX_MANAGER_ALLOW_FAULTS": "true"]
        #expect(try load(environment: environment).get().settings.manager.faults == [.userLockLeak])
        #expect(faults(["--allow-faults=false"], environment: environment).count == 1)
    }

    @Test func `the idle timeout is at most the age`() throws {
        let found = faults(["--lease-max-age-seconds=499.5"])
        #expect(found.problem(of: "lease.idleTimeoutSeconds")?.contains("lease.maxAgeSeconds") == true)
        _ = try load(["--lease-max-age-seconds=500"]).get()
    }

    @Test func `a value that is bad by itself causes no second fault`() {
        #expect(faults(["--lease-idle-timeout-seconds=long", "--lease-max-age-seconds=20"]).count == 1)
    }

    @Test func `the idle timeout fits into a session of E2B`() throws {
        let arguments = ["--e2b-max-session-seconds=400"]
        #expect(faults(arguments, environment: ["E2B_API_KEY": "k"]).map(\.key) == ["lease.idleTimeoutSeconds"])
        _ = try load(arguments).get()
    }

    @Test func `the pool fits into the total limit`() {
        #expect(faults(["--pool-target=101"]).map(\.key) == ["pool.target"])
    }

    @Test func `a second token needs a first, and no third fits`() {
        #expect(faults(["--api-token-secondary=x"]).map(\.key) == ["api.tokenSecondary"])
        #expect(faults(["--api-token=a,b", "--api-token-secondary=c"]).map(\.key) == ["api.tokenSecondary"])
    }
}
