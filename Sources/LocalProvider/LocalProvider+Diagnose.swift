internal import CLocalSandbox
internal import Glibc

extension LocalProvider {
    /// Everything that keeps the provider from working on this machine, with a way to mend each; empty if all is well.
    ///
    /// Blocks, as it makes a sandbox to see whether one can be made: usually for 10 ms, for 10 s at worst. Meant for
    /// the start of a program.
    public static func diagnose(_ configuration: LocalProviderConfiguration) -> [Diagnosis] {
        let missing = missingPrograms(configuration)
        guard missing.isEmpty else { return missing }
        guard let failure = trial(configuration) else { return [] }
        // Switched-off namespaces explain a failure better than bubblewrap's own words do.
        let causes = switchedOff()
        return causes.isEmpty ? [diagnosis(of: failure)] : causes
    }

    private static func missingPrograms(_ configuration: LocalProviderConfiguration) -> [Diagnosis] {
        var found: [Diagnosis] = []
        if SystemPaths.bubblewrap(configuration) == nil {
            let place = configuration.bwrapPath ?? "bwrap on the PATH"
            found.append(
                Diagnosis(
                    problem: "bubblewrap is missing (\(place))",
                    remedy: "install it (Debian, Ubuntu: apt-get install bubblewrap) or configure its path"
                )
            )
        }
        let supervisor = SystemPaths.supervisor(configuration)
        if !SystemPaths.isExecutable(supervisor) {
            found.append(
                Diagnosis(
                    problem: "sandbox-init is missing (\(supervisor))",
                    remedy: "install it beside the sandbox-manager executable, with which it is built"
                )
            )
        }
        return found
    }

    private static func switchedOff() -> [Diagnosis] {
        let switches = [
            ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
            ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ]
        return switches.filter { SystemPaths.line(of: "/proc/sys/\($0.0)") == $0.1 }.map { path, value, setting in
            Diagnosis(
                problem: "user namespaces are switched off (/proc/sys/\(path) is \(value))",
                remedy: "run: sysctl -w \(setting), and put the setting into /etc/sysctl.d to keep it"
            )
        }
    }

    private static func diagnosis(of failure: String) -> Diagnosis {
        let problem = "bubblewrap cannot make a sandbox here: \(failure)"
        let remedy =
            if failure.contains("nknown option") {
                "install bubblewrap 0.8 or newer"
            } else if failure.contains("cannot become") || failure.contains("give up the groups") {
                "configure a user and group that exist in this user namespace (see /proc/self/uid_map), "
                    + "or start the daemon as an ordinary user"
            } else {
                "allow user, mount and network namespaces to this process; in a container that takes a seccomp and "
                    + "AppArmor profile that permits them (Docker: --security-opt seccomp=unconfined "
                    + "--security-opt apparmor=unconfined --security-opt systempaths=unconfined)"
            }
        return Diagnosis(problem: problem, remedy: remedy)
    }

    /// Makes a sandbox and ends it again; what went wrong, if anything.
    private static func trial(_ configuration: LocalProviderConfiguration) -> String? {
        let launched: LaunchKit.Launched
        do {
            launched = try LaunchKit(configuration).launch()
        } catch {
            return error.detail
        }
        let setup = Wire.setup(life: .seconds(10), limits: configuration, environment: [])
        _ = cls_send(launched.socket, setup, setup.count, nil, 0)
        // An answer or the end of the socket: both make it readable.
        _ = cls_wait_readable(launched.socket, 10_000)
        let isReady = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 16) { buffer in
            let count = Int(cls_receive(launched.socket, buffer.baseAddress, buffer.count))
            return count > 0 && Wire.reply(UnsafeRawBufferPointer(rebasing: buffer[..<count])) == .ready(0)
        }
        cls_close(launched.socket)
        if cls_wait_readable(launched.processDescriptor, 1_000) < 1 { cls_kill_group(launched.process) }
        var status: Int32 = 0
        waitpid(launched.process, &status, 0)
        cls_close(launched.processDescriptor)
        defer { cls_close(launched.errors) }
        guard !isReady else { return nil }
        let words = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            let count = max(0, Int(cls_read(launched.errors, buffer.baseAddress, buffer.count)))
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
        let line = words.split(whereSeparator: \.isNewline).joined(separator: " / ")
        return line.isEmpty ? "it ended with status \(status) and said nothing" : line
    }
}
