import CurlTransport
import Glibc
import HTTPTypes
import Synchronization
import Testing

/// Polls a condition until it holds, for at most `limit`; the last answer otherwise.
func eventually(within limit: Duration = .seconds(20), _ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return condition()
}

/// Runs `body` with a transport and closes it whatever happens.
func withTransport<Result>(
    _ change: (inout CurlConfiguration) -> Void = { _ in },
    _ body: (CurlTransport) async throws -> Result
) async throws -> Result {
    var configuration = CurlConfiguration()
    change(&configuration)
    let transport = try CurlTransport(configuration: configuration)
    do {
        let result = try await body(transport)
        await transport.close()
        return result
    } catch {
        await transport.close()
        throw error
    }
}

/// The error of a request that must fail.
func failure(_ transport: CurlTransport, _ request: TransportRequest) async -> CurlError? {
    do throws(CurlError) {
        let response = try await transport.send(request)
        Issue.record("expected a failure, got status \(response.status)")
        return nil
    } catch {
        return error
    }
}

extension TransportRequest {
    static func get(_ url: String, deadline: Duration = .seconds(20)) -> TransportRequest {
        TransportRequest(method: .get, url: url, deadline: deadline)
    }

    static func post(_ url: String, body: String = "{}", deadline: Duration = .seconds(20)) -> TransportRequest {
        TransportRequest(method: .post, url: url, body: Array(body.utf8), deadline: deadline)
    }
}

extension TransportResponse {
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// The descriptors this process has open, by number.
func openDescriptors() -> Set<Int32> {
    guard let directory = opendir("/proc/self/fd") else { return [] }
    defer { closedir(directory) }
    let own = dirfd(directory)
    var found: Set<Int32> = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if let number = Int32(name), number != own { found.insert(number) }
    }
    return found
}

/// Counts, for closures on any thread.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    var count: Int { value.load(ordering: .sequentiallyConsistent) }

    @discardableResult
    func add() -> Int { value.add(1, ordering: .sequentiallyConsistent).newValue }
}

/// Holds threads until it is opened.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)

    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    /// Blocks the calling thread, which must be one of our own.
    func pass() {
        while !isOpen.load(ordering: .sequentiallyConsistent) { usleep(1000) }
    }
}

/// A loopback port that nothing listens on, held by a bound socket until `release`.
struct DeadPort {
    let port: Int
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        try #require(isBound)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    func release() { close(descriptor) }
}
