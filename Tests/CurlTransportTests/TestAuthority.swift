import Glibc
import Testing

/// A throw-away certificate authority and certificates of it, in a temporary directory.
struct TestAuthority {
    static let isAvailable = ChildProcess.exists("openssl")

    let directory: String

    init() throws {
        var template = Array("/tmp/curl-transport-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        directory = try #require(made)
        try makeAuthority("ca")
    }

    /// Makes another authority; `<name>.pem` and `<name>.key`.
    func makeAuthority(_ name: String) throws {
        try openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).pem"),
        ])
    }

    /// Makes a certificate for one host name or address, such as `DNS:localhost` or `IP:127.0.0.1`.
    func makeCertificate(_ name: String, subject: String, authority: String = "ca", days: Int = 1) throws {
        try openssl([
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test",
            "-addext", "subjectAltName=\(subject)", "-keyout", path("\(name).key"), "-out", path("\(name).csr"),
        ])
        try openssl([
            "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).pem"), "-CAkey",
            path("\(authority).key"), "-CAcreateserial", "-copy_extensions", "copy", "-days", "\(days)",
            "-out", path("\(name).pem"),
        ])
    }

    func path(_ file: String) -> String { "\(directory)/\(file)" }

    func remove() {
        guard let entries = opendir(directory) else { return }
        defer {
            closedir(entries)
            rmdir(directory)
        }
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            unlink(path(name))
        }
    }

    private func openssl(_ arguments: [String]) throws {
        let status = try ChildProcess(["openssl"] + arguments).wait()
        try #require(status == 0, "openssl \(arguments[0]) failed")
    }
}
