import LocalProvider
import SandboxCore
import Testing

@Suite(.enabled(if: bubblewrapWorks, "bubblewrap works on this machine"), .timeLimit(.minutes(1)))
struct CommandTests {
    @Test func `a file that one command writes is read by the next`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            #expect(try await rig.sh(sandbox, "echo hello > note; pwd").out == "/home/user\n")
            #expect(try await rig.sh(sandbox, "cat /home/user/note").out == "hello\n")
        }
    }

    @Test func `a background process of one command is seen by the next`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            _ = try await rig.sh(sandbox, "sleep 60 > /dev/null 2>&1 & echo $! > pid")
            #expect(try await rig.sh(sandbox, "kill -0 $(cat pid)").exitCode == 0)
        }
    }

    @Test func `standard input arrives whole, however large`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let input = String(repeating: "0123456789", count: 100_000)
            #expect(try await rig.sh(sandbox, "wc -c", input: input).out == "1000000\n")
            #expect(try await rig.sh(sandbox, "cat", input: input).out == input)
            #expect(try await rig.sh(sandbox, "wc -c").out == "0\n")
        }
    }

    @Test func `a command that does not read its input is no problem`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let input = String(repeating: "x", count: 1_000_000)
            #expect(try await rig.sh(sandbox, "exec 0<&-; echo done", input: input).out == "done\n")
        }
    }

    @Test func `exit codes and signals are told apart`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let code = try await rig.sh(sandbox, "echo out; echo err >&2; exit 3")
            #expect(code.out == "out\n")
            #expect(code.err == "err\n")
            #expect(code.exitCode == 3)
            #expect(code.signal == nil)
            let killed = try await rig.sh(sandbox, "kill -TERM $$")
            #expect(killed.exitCode == nil)
            #expect(killed.signal == 15)
        }
    }

    @Test func `the outputs can be opened by name`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let result = try await rig.sh(sandbox, "echo a > /dev/stdout; echo b > /dev/stderr")
            #expect(result.out == "a\n")
            #expect(result.err == "b\n")
        }
    }

    @Test func `a program that does not exist is exit code 127 with words`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let request = ExecRequest(command: ["no-such-program"], timeout: .seconds(10))
            let result = try await rig.provider.exec(sandbox, request)
            #expect(result.exitCode == 127)
            #expect(result.err == "sandbox-init: no-such-program: No such file or directory\n")
            let directory = ExecRequest(command: ["/tmp"], timeout: .seconds(10))
            #expect(try await rig.provider.exec(sandbox, directory).exitCode == 126)
        }
    }

    /// Commands that cannot be passed on; named, so that a report does not show them whole.
    enum BadCommand: String, CaseIterable {
        case empty, nulInProgram, nulInArgument, tooLong, tooMany

        var words: [String] {
            switch self {
            case .empty: []
            case .nulInProgram: ["a\0b"]
            case .nulInArgument: ["sh", "x\0"]
            case .tooLong: [String(repeating: "x", count: 200_000)]
            case .tooMany: Array(repeating: "x", count: 5000)
            }
        }

        var status: Int { self == .tooLong || self == .tooMany ? 413 : 400 }
    }

    @Test(arguments: BadCommand.allCases)
    func `a command that cannot be passed on is refused`(command: BadCommand) async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let error = await #expect(throws: ProviderError.self) {
                try await rig.provider.exec(sandbox, ExecRequest(command: command.words, timeout: .seconds(10)))
            }
            #expect(error?.kind == .http(status: command.status))
            #expect(error?.effect == ProviderError.Effect.none)
        }
    }

    @Test func `a timeout kills the command, its background children and those in sessions of their own`() async throws
    {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let script = "echo begun; sleep 61 & (sleep 62 & sleep 63) & setsid sleep 64 & wait"
            let result = try await rig.sh(sandbox, script, timeout: .milliseconds(300))
            #expect(result.timedOut)
            #expect(result.out == "begun\n")
            #expect(result.signal == 9)
            #expect(result.exitCode == nil)
            let gone = try await eventually {
                try await rig.sh(sandbox, "cat /proc/[0-9]*/comm | grep -c sleep").out == "0\n"
            }
            #expect(gone)
        }
    }

    @Test func `a background child that holds the output open does not hold up the result`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            var result: ExecResult?
            let time = try await ContinuousClock().measure {
                result = try await rig.sh(sandbox, "sleep 60 & echo done")
            }
            #expect(result?.out == "done\n")
            #expect(result?.timedOut == false)
            #expect(time < .seconds(5))
        }
    }

    @Test func `output beyond the limit is dropped and the result says so`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2"
            let result = try await rig.sh(sandbox, script, outputLimit: 1000)
            #expect(result.out == String(repeating: "x", count: 1000))
            #expect(result.err == "end\n")
            #expect(result.truncated)
            #expect(result.exitCode == 0)
            let exact = try await rig.sh(sandbox, "printf 12345", outputLimit: 5)
            #expect(exact.out == "12345")
            #expect(!exact.truncated)
        }
    }

    @Test func `twenty commands run side by side without mixing`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let result = try await rig.sh(sandbox, "cat; echo \(number)", input: "in\(number)\n")
                        return result.out == "in\(number)\n\(number)\n"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func `long commands that do not fit the socket at once all arrive`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let word = String(repeating: "y", count: 100_000)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        let command = ["sh", "-c", "printf %s \"$1\" | wc -c", "sh", word]
                        let request = ExecRequest(command: command, timeout: .seconds(30))
                        return Int(try await rig.provider.exec(sandbox, request).out.dropLast()) ?? 0
                    }
                }
                for try await length in group { #expect(length == 100_000) }
            }
        }
    }

    @Test func `more commands at once than the supervisor takes are refused and later ones work`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            var refused = 0
            await withTaskGroup(of: ProviderError.Kind?.self) { group in
                for _ in 0..<80 {
                    group.addTask {
                        do throws(ProviderError) {
                            let request = ExecRequest(command: ["sleep", "1"], timeout: .seconds(30))
                            _ = try await rig.provider.exec(sandbox, request)
                            return nil
                        } catch {
                            return error.kind
                        }
                    }
                }
                for await kind in group where kind != nil {
                    #expect(kind == .rateLimited)
                    refused += 1
                }
            }
            #expect(refused == 16)
            #expect(try await rig.sh(sandbox, "echo ok").out == "ok\n")
        }
    }

    @Test func `cancelling the caller kills the command`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let call = Task { try await rig.sh(sandbox, "touch begun; exec sleep 71", timeout: .seconds(60)) }
            let begun = try await eventually { try await rig.sh(sandbox, "test -e begun").exitCode == 0 }
            #expect(begun)
            call.cancel()
            let error = await #expect(throws: ProviderError.self) { try await call.value }
            #expect(error?.kind == .cancelled)
            let gone = try await eventually {
                try await rig.sh(sandbox, "cat /proc/[0-9]*/comm | grep -c sleep").out == "0\n"
            }
            #expect(gone)
        }
    }

    @Test func `a call that was cancelled before it began runs nothing`() async throws {
        try await Rig.run { rig in
            let sandbox = try await rig.create()
            let call = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await rig.sh(sandbox, "touch ran")
            }
            let error = await #expect(throws: ProviderError.self) { try await call.value }
            #expect(error?.kind == .cancelled)
            #expect(try await rig.sh(sandbox, "test -e ran").exitCode == 1)
        }
    }
}
