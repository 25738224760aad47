internal import CShims
internal import Glibc

/// What the kernel and the allocator say of this process.
public struct ProcessStatistics: Sendable {
    /// User and system time used.
    public var cpuSeconds: Double
    /// Resident memory in bytes.
    public var residentBytes: Int
    /// Virtual memory in bytes.
    public var virtualBytes: Int
    /// Open file descriptors.
    public var openFileDescriptors: Int
    /// The most file descriptors there may be; the soft limit.
    public var maximumFileDescriptors: Int
    /// Threads.
    public var threads: Int
    /// Live heap in bytes.
    public var heapInUseBytes: Int
    /// Heap held from the kernel in bytes.
    public var heapHeldBytes: Int

    /// Why the kernel could not be asked.
    public struct Unreadable: Error, Sendable {
        /// Which file.
        public let path: String
    }

    /// Reads everything now; some 50 µs.
    ///
    /// - Returns: The sample.
    /// - Throws: ``Unreadable`` if /proc is missing or reads differently than documented.
    public static func read() throws(Unreadable) -> ProcessStatistics {
        let path = "/proc/self/stat"
        guard let text = contents(of: path)?.utf8, let nameEnd = text.lastIndex(of: UInt8(ascii: ")")) else {
            throw Unreadable(path: path)
        }
        // Fields after the name, which may hold blanks: state is the first; see proc(5).
        let fields = text[nameEnd...].dropFirst(2).split(separator: UInt8(ascii: " ")).map { Substring($0) }
        guard fields.count > 21, let user = Int(fields[11]), let system = Int(fields[12]),
            let threads = Int(fields[17]),
            let virtual = Int(fields[20]), let pages = Int(fields[21])
        else { throw Unreadable(path: path) }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let heap = cshims_heap()
        return ProcessStatistics(
            cpuSeconds: Double(user + system) / Double(sysconf(Int32(_SC_CLK_TCK))),
            residentBytes: pages * Int(sysconf(Int32(_SC_PAGESIZE))),
            virtualBytes: virtual,
            openFileDescriptors: try openDescriptors(),
            maximumFileDescriptors: Int(clamping: limit.rlim_cur),
            threads: threads,
            heapInUseBytes: Int(heap.used),
            heapHeldBytes: Int(heap.held)
        )
    }

    private static func openDescriptors() throws(Unreadable) -> Int {
        let path = "/proc/self/fd"
        guard let directory = opendir(path) else { throw Unreadable(path: path) }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without `.`, `..` and the directory's own descriptor.
        return count - 3
    }

    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
