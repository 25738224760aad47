internal import SandboxCore

/// The environment of everything that runs in a sandbox.
enum SandboxEnvironment {
    /// What is always there; the caller's own variables win.
    private static let standard = [
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/home/user",
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
    ]

    /// `NAME=VALUE` strings in the order of the names.
    ///
    /// - Throws: 400 for what the system cannot carry: an empty name, a name with `=`, a NUL anywhere. No value is told.
    static func variables(_ environment: [String: Secret]) throws(ProviderError) -> [String] {
        var merged = standard
        for (name, value) in environment {
            let text = value.reveal()
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")), !name.utf8.contains(0) else {
                throw refusal("the name of an environment variable is empty or contains '=' or NUL")
            }
            guard !text.utf8.contains(0) else { throw refusal("the value of an environment variable contains NUL") }
            merged[name] = text
        }
        return merged.map { "\($0.key)=\($0.value)" }.sorted()
    }

    private static func refusal(_ detail: String) -> ProviderError {
        ProviderError(.create, .http(status: 400), detail, effect: .none)
    }
}
