import Glibc
import LocalProvider
import SandboxCore
import Testing

@Suite(.enabled(if: bubblewrapWorks, "bubblewrap works on this machine"), .timeLimit(.minutes(1)))
struct LifecycleTests {
    @Test func `a sandbox is described by its labels, metadata and remaining life`() async throws {
        try await Rig.run { rig in
            let metadata = ["evil \"\n": "value' \\ \u{0}", "--bind": "/"]
            let order = try rig.order(metadata: metadata, life: .seconds(100))
            let sandbox = try await rig.provider.create(order, timeout: .seconds(20))
            let alphabet = Set("abcdefghijklmnopqrstuvwxyz0123456789")
            #expect(sandbox.id.rawValue.allSatisfy(alphabet.contains))
            #expect(sandbox.id.rawValue.utf8.count == 21)
            rig.time.advance(by: .seconds(30))
            let info = try #require(try await rig.provider.info(sandbox.id, timeout: .seconds(5)))
            #expect(info.metadata == metadata)
            #expect(info.labels == order.labels)
            #expect(info.state == .running)
            #expect(info.startedAt == WallTime(sinceEpoch: .seconds(1000)))
            #expect(info.sandbox.remainingLife == .seconds(70))
            #expect(try await rig.provider.info(SandboxID("other"), timeout: .seconds(5)) == nil)
        }
    }

    @Test func `a listing holds what matches and nothing else`() async throws {
        try await Rig.run { rig in
            let first = try rig.order(user: "a")
            let one = try await rig.provider.create(first, timeout: .seconds(20))
            let two = try await rig.create(user: "b")
            let all = try await rig.provider.list(.environment("test"), timeout: .seconds(5))
            #expect(Set(all.map(\.sandbox.id)) == [one.id, two.id])
            let byKey = try await rig.provider.list(.key(first.labels.key, environment: "test"), timeout: .seconds(5))
            #expect(byKey.map(\.sandbox.id) == [one.id])
            let byToken = SandboxFilter.token(first.labels.token, environment: "test")
            #expect(try await rig.provider.list(byToken, timeout: .seconds(5)).map(\.sandbox.id) == [one.id])
            #expect(try await rig.provider.list(.environment("prod"), timeout: .seconds(5)).isEmpty)
        }
    }

    @Test func `a kill leaves no process and a second one finds nothing`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            _ = try await rig.sh(sandbox, "setsid sleep 1234001 > /dev/null 2>&1 & echo x > file")
            #expect(!processes(containing: "1234001").isEmpty)
            #expect(rig.bubblewraps.count == 1)
            #expect(try await rig.provider.kill(sandbox.id, timeout: .seconds(10)) == .killed)
            #expect(processes(containing: "1234001").isEmpty)
            #expect(rig.bubblewraps.isEmpty)
            #expect(try await rig.provider.kill(sandbox.id, timeout: .seconds(10)) == .alreadyGone)
            #expect(try await rig.provider.info(sandbox.id, timeout: .seconds(5)) == nil)
        }
    }

    @Test func `fifty sandboxes at once come and go without a process, zombie or descriptor left`() async throws {
        // In a process of its own: other tests open descriptors and start processes beside this one.
        let owner = try ProbeProcess(["churn", "50"])
        #expect(try await owner.readLine() == "served 50, left: 0 descriptors, 0 children, 0 sandboxes")
        owner.wait()
    }

    @Test func `a sandbox ends at its expiry, and no earlier`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create(life: .seconds(60))
            #expect(await eventually { rig.time.sleeperCount == 1 })
            rig.time.advance(by: .milliseconds(59_999))
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .alive)
            rig.time.advance(by: .milliseconds(1))
            let ended = try await eventually { try await rig.provider.info(sandbox.id, timeout: .seconds(5)) == nil }
            #expect(ended)
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .gone)
        }
    }

    @Test func `extend moves the expiry both ways, connect only later`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create(life: .seconds(60))
            #expect(
                try await rig.provider.extend(sandbox.id, life: .seconds(100), timeout: .seconds(5)) == .seconds(100)
            )
            let shorter = try await rig.provider.connect(sandbox.id, life: .seconds(10), timeout: .seconds(5))
            #expect(shorter.sandbox.remainingLife == .seconds(100))
            #expect(!shorter.resumed)
            let longer = try await rig.provider.connect(sandbox.id, life: .seconds(200), timeout: .seconds(5))
            #expect(longer.sandbox.remainingLife == .seconds(200))
            rig.time.advance(by: .seconds(150))
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .alive)
            #expect(try await rig.provider.extend(sandbox.id, life: .seconds(1), timeout: .seconds(5)) == .seconds(1))
            rig.time.advance(by: .seconds(1))
            let ended = try await eventually { try await rig.provider.info(sandbox.id, timeout: .seconds(5)) == nil }
            #expect(ended)
            let error = await #expect(throws: ProviderError.self) {
                try await rig.provider.extend(sandbox.id, life: .seconds(1), timeout: .seconds(5))
            }
            #expect(error?.kind == .gone)
        }
    }

    @Test func `the supervisor ends by itself when this process forgets it`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.expiryMargin = .milliseconds(200)
        try await Rig.run(configuration) { rig in
            // The clock stands still, so only the supervisor's own can end it.
            let sandbox = try await rig.create(life: .milliseconds(100))
            let ended = try await eventually { try await rig.provider.info(sandbox.id, timeout: .seconds(5)) == nil }
            #expect(ended)
        }
    }

    @Test(arguments: [true, false])
    func `a sandbox killed from outside is gone and its waiting command says so`(onlyBubblewrap: Bool) async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let call = Task { try await rig.sh(sandbox, "touch begun; sleep 1234003", timeout: .seconds(60)) }
            let begun = try await eventually { try await rig.sh(sandbox, "test -e begun").exitCode == 0 }
            #expect(begun)
            let victim = onlyBubblewrap ? try #require(rig.bubblewraps.first) : try rig.supervisor()
            #expect(kill(victim, SIGKILL) == 0)
            let error = await #expect(throws: ProviderError.self) { try await call.value }
            #expect(error?.kind == .gone)
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .gone)
            #expect(try await rig.provider.info(sandbox.id, timeout: .seconds(5)) == nil)
            #expect(await eventually { processes(containing: "1234003").isEmpty && rig.bubblewraps.isEmpty })
        }
    }

    @Test func `a supervisor that hangs is unknown, not gone, and can be killed`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let supervisor = try rig.supervisor()
            #expect(kill(supervisor, SIGSTOP) == 0)
            let limit = Duration.milliseconds(100)
            #expect(await rig.provider.health(sandbox, timeout: limit) == .timedOut(after: limit))
            let late = try await rig.sh(sandbox, "echo never", timeout: limit)
            #expect(late.timedOut)
            #expect(try await rig.provider.kill(sandbox.id, timeout: .seconds(10)) == .killed)
            #expect(rig.bubblewraps.isEmpty)
        }
    }

    @Test func `killing the owner with SIGKILL leaves no process and no directory`() async throws {
        let directories = readDirectory("/tmp")
        let owner = try ProbeProcess(["hold", "5"])
        #expect(try await owner.readLine() == "ready")
        #expect(processes(containing: "7654321").count == 5)
        #expect(processes(containing: owner.mark).count == 5)
        #expect(kill(owner.pid, SIGKILL) == 0)
        owner.wait()
        #expect(await eventually { processes(containing: "7654321").isEmpty })
        #expect(await eventually { processes(containing: owner.mark).isEmpty })
        let left = readDirectory("/tmp").subtracting(directories)
        #expect(left.filter { $0.contains("sandbox") || $0.contains("bwrap") || $0.contains("newroot") }.isEmpty)
    }

    @Test(.enabled(if: getuid() == 0, "only root can become an ordinary user"))
    func `an ordinary user can own sandboxes`() async throws {
        let owner = try ProbeProcess(["check"], asUser: 1_800_000_000)
        var lines: [String] = []
        while let line = try await owner.readLine() { lines.append(line) }
        owner.wait()
        #expect(lines.contains { $0.hasPrefix("uid=1000(user)") })
        #expect(lines.contains("sandbox-init"))
        #expect(lines.contains("CapEff:\t0000000000000000"))
        #expect(lines.contains("again"))
        #expect(lines.contains("stays"))
        #expect(lines.contains("kill: killed"))
    }

    @Test(.enabled(if: getuid() == 0, "only root gives up root"))
    func `started by root, a sandbox runs as an unprivileged user of the host`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            _ = try await rig.sh(sandbox, "sleep 1234004 > /dev/null 2>&1 &")
            let sleeper = try #require(processes(containing: "1234004").first)
            let status = readFile("/proc/\(sleeper)/status")
            #expect(status.contains("Uid:\t1900000000\t1900000000\t1900000000\t1900000000\n"))
            #expect(status.contains("Groups:\t \n") || status.contains("Groups:\t\n"))
            #expect(readFile("/proc/\(sleeper)/oom_score_adj") == "1000\n")
        }
    }

    @Test func `shutdown ends everything and later calls are refused`() async throws {
        let rig = Rig()
        let sandbox = try await rig.create()
        let call = Task { try await rig.sh(sandbox, "sleep 1234005", timeout: .seconds(60)) }
        #expect(await eventually { !processes(containing: "1234005").isEmpty })
        await rig.provider.shutdown()
        #expect(rig.bubblewraps.isEmpty)
        let error = await #expect(throws: ProviderError.self) { try await call.value }
        #expect(error?.kind == .gone)
        #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .gone)
        let refusal = await #expect(throws: ProviderError.self) { try await rig.create() }
        #expect(refusal?.kind == .unavailable)
        await rig.provider.shutdown()
    }

    @Test func `a dropped provider leaves no sandbox behind`() async throws {
        var hostName = ""
        do {
            let rig = Rig()
            hostName = rig.hostName
            _ = try await rig.create()
            #expect(processes(containing: hostName).count == 1)
        }
        #expect(await eventually { processes(containing: hostName).isEmpty })
    }
}
