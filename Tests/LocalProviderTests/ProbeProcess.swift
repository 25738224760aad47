import CLocalSandbox
import Glibc
import Testing

/// A process of the probe executable, which owns sandboxes of its own.
final class ProbeProcess {
    let pid: Int32
    private let output: Int32
    private var pending: [UInt8] = []

    init(_ arguments: [String], asUser user: UInt32? = nil) throws {
        var command = ["\(buildDirectory())/LocalProviderProbe"] + arguments
        if let user {
            let drop = ["--reuid", String(user), "--regid", String(user), "--clear-groups"]
            command = ["/usr/bin/setpriv"] + drop + command
        }
        var reader: Int32 = -1
        var writer: Int32 = -1
        try #require(cls_pipe(&reader, &writer, 1, 0, 0) == 0)
        var pointers: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        pid = cls_spawn(command[0], pointers, [writer, writer, writer], 3)
        cls_close(writer)
        output = reader
        try #require(pid > 0)
    }

    deinit { cls_close(output) }

    /// The next line of its output; `nil` at the end.
    func readLine() async throws -> String? {
        var result: String?
        var isOver = false
        _ = await eventually {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                result = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return true
            }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = Int(cls_read(output, &buffer, buffer.count))
            if count > 0 { pending += buffer[..<count] }
            isOver = count == 0
            return isOver
        }
        return result
    }

    /// What the command lines of its bubblewrap processes contain and no others do.
    var mark: String { "probe-\(pid)" }

    func wait() { waitpid(pid, nil, 0) }
}

/// Where the build put the executables: beside the running one.
func buildDirectory() -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}

func readDirectory(_ path: String) -> Set<String> {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: Set<String> = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        names.insert(name)
    }
    return names
}
