import Glibc
import LocalProvider
import SandboxCore
import Testing

@Suite(.enabled(if: bubblewrapWorks, "bubblewrap works on this machine"), .timeLimit(.minutes(1)))
struct IsolationTests {
    @Test func `a command sees its own host name, user, process 1 and no host directory`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let command = ["sh", "-c", "id; hostname; ls /; cat /proc/1/comm; ip -o link"]
            let result = try await rig.provider.exec(sandbox, ExecRequest(command: command, timeout: .seconds(20)))
            let lines = result.out.split(separator: "\n").map(String.init)
            #expect(lines.first?.hasPrefix("uid=1000(user) gid=1000(user)") == true)
            #expect(lines.contains(rig.hostName))
            #expect(lines.contains("sandbox-init"))
            for host in ["root", "opt", "boot", "srv", "mnt", "sys", "run"] { #expect(!lines.contains(host)) }
            #expect(!result.out.contains("eth0"))
        }
    }

    @Test func `the only network interface is the loopback`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let result = try await rig.sh(sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")
            #expect(result.out == "lo\n")
        }
    }

    @Test func `there are no capabilities and no way to new privileges or namespaces`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let status = try await rig.sh(sandbox, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status").out
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                #expect(status.contains("\(set):\t0000000000000000\n"))
            }
            #expect(status.contains("NoNewPrivs:\t1\n"))
            #expect(try await rig.sh(sandbox, "unshare -U true").exitCode != 0)
        }
    }

    @Test(arguments: ["/usr/x", "/x", "/etc/x", "/dev/x", "/etc/passwd", "/sandbox-init", "/usr/bin/env"])
    func `the system cannot be written`(path: String) async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            #expect(try await rig.sh(sandbox, "echo x > \(path)").exitCode != 0)
        }
    }

    @Test(arguments: ["/etc/shadow", "/root", "/opt", "/var/lib", "/proc/1/environ", "/proc/1/fd", "/proc/1/mem"])
    func `host files and the supervisor's own cannot be read`(path: String) async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let result = try await rig.sh(sandbox, "cat \(path) || ls \(path)/")
            #expect(result.exitCode != 0)
            #expect(result.out.isEmpty)
        }
    }

    @Test func `nothing of the host's paths shows in the supervisor's command line or the mounts`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            #expect(try await rig.sh(sandbox, "tr '\\0' '\\n' < /proc/1/cmdline").out == "/sandbox-init\n")
            let mounts = try await rig.sh(sandbox, "cat /proc/self/mountinfo").out
            #expect(mounts.contains(" /home/user "))
            #expect(!mounts.contains(".build"))
        }
    }

    @Test func `a command starts with a clean environment, the caller's variables and no stray descriptor`()
        async throws
    {
        setenv("LOCAL_PROVIDER_TEST_SECRET", "leak", 1)
        try await Rig.run { rig in
            let evil = "a b\n$(id) \"'\\ ü=1"
            let sandbox = try await rig.create(environment: ["EVIL": Secret(evil), "HOME": Secret("/tmp")])
            let names = try await rig.sh(sandbox, "env -0 | tr '\\n\\0' ' \\n' | cut -d= -f1 | sort").out
            let expected = ["EVIL", "HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "USER"]
            let found = names.split(separator: "\n").map { String($0) }.filter { $0 != "_" }
            #expect(found == expected)
            #expect(try await rig.sh(sandbox, "printf %s \"$EVIL\"").out == evil)
            #expect(try await rig.sh(sandbox, "ls /proc/self/fd | wc -l").out == "4\n")
            #expect(processes(containing: "$(id)").isEmpty)
        }
    }

    @Test(arguments: ["/home/user", "/tmp", "/dev/shm"])
    func `a writable directory has a limit`(directory: String) async throws {
        var configuration = LocalProviderConfiguration()
        configuration.homeSizeBytes = 1 << 20
        configuration.temporarySizeBytes = 1 << 20
        try await Rig.run(configuration) { rig in
            let sandbox = try await rig.create()
            let fill = "head -c 900000 /dev/zero > \(directory)/a"
            #expect(try await rig.sh(sandbox, fill).exitCode == 0)
            let result = try await rig.sh(sandbox, "head -c 2097152 /dev/zero > \(directory)/b")
            #expect(result.exitCode != 0)
            #expect(result.err.contains("No space left"))
        }
    }

    @Test func `a fork bomb stays within the process limit and the sandbox stays usable`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.maxProcesses = 40
        try await Rig.run(configuration) { rig in
            let sandbox = try await rig.create()
            let bomb = "i=0; while [ $i -lt 500 ]; do sleep 60 >/dev/null 2>&1 & i=$((i+1)); done"
            let result = try await rig.sh(sandbox, bomb)
            #expect(result.exitCode != 0)
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .alive)
            let count = try await rig.provider.exec(
                sandbox,
                ExecRequest(command: ["find", "/proc", "-maxdepth", "1", "-name", "[0-9]*"], timeout: .seconds(10))
            )
            let processes = count.out.split(separator: "\n").count
            #expect(processes > 20 && processes <= 43)
            #expect(try await rig.provider.kill(sandbox.id, timeout: .seconds(10)) == .killed)
        }
    }

    @Test func `the process limit of one sandbox is not used up by another`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.maxProcesses = 10
        try await Rig.run(configuration) { rig in
            let full = try await rig.create()
            _ = try await rig.sh(full, "for i in 1 2 3 4 5 6 7 8 9 10 11; do sleep 60 >/dev/null 2>&1 & done")
            let other = try await rig.create()
            #expect(try await rig.sh(other, "sleep 0.01 | cat; echo ok").out == "ok\n")
        }
    }

    @Test func `files and address space are limited`() async throws {
        var configuration = LocalProviderConfiguration()
        configuration.maxFileSizeBytes = 100_000
        configuration.maxAddressSpaceBytes = 64 << 20
        try await Rig.run(configuration) { rig in
            let sandbox = try await rig.create()
            #expect(try await rig.sh(sandbox, "head -c 200000 /dev/zero > big; echo $?").out != "0\n")
            #expect(try await rig.sh(sandbox, "wc -c < big").out == "100000\n")
            #expect(try await rig.sh(sandbox, "ulimit -v; ulimit -n; ulimit -c").out == "65536\n1024\n0\n")
            let memory = try await rig.sh(sandbox, "head -c 200000000 /dev/zero | sort | wc -c")
            #expect(memory.err.contains("memory"))
        }
    }

    @Test func `the supervisor cannot be killed, stopped or traced from inside`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            _ = try await rig.sh(sandbox, "kill -9 1; kill -STOP 1; kill -TERM 1")
            #expect(await rig.provider.health(sandbox, timeout: .seconds(5)) == .alive)
            #expect(try await rig.sh(sandbox, "readlink /proc/1/exe").exitCode != 0)
        }
    }
}
