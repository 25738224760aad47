import CurlTransport
import Glibc
import HTTPTypes
import TestSupport
import Testing

/// Counts descriptors of the whole process, so nothing else may run meanwhile: each measurement is repeated until the
/// number fits, which a leak never does.
@Suite(.timeLimit(.minutes(5)), .serialized)
struct LeakTests {
    @Test func `10,000 sequential requests use one connection and leave nothing open`() async throws {
        let server = try ScriptedHTTPServer(recordsRequests: false) { _ in .reply() }
        defer { server.stop() }
        try await withTransport { transport in
            for _ in 0..<10_000 { _ = try await transport.send(.get(server.url)) }
            #expect(server.connectionCount == 1)
            #expect(transport.inFlight == 0 && transport.openConnections == 1)
        }
        #expect(await eventually { server.openConnectionCount == 0 })
    }

    @Test func `500 concurrent requests in 20 rounds with failures of every kind leave nothing open`() async throws {
        let server = try ScriptedHTTPServer(recordsRequests: false) { request in
            switch request.path {
            case "/hang": .hang
            case "/reset": .reset
            case "/close": .close
            case "/huge": .huge(count: 1 << 20, announced: false)
            default: .reply()
            }
        }
        defer { server.stop() }
        let before = openDescriptors().count
        for _ in 0..<20 {
            try await withTransport({ $0.maxResponseBytes = 1000 }) { transport in
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<500 {
                        let path = number % 20 < 5 ? ["hang", "reset", "close", "huge", "ok"][number % 20] : "ok"
                        let url = "\(server.url)/\(path)"
                        group.addTask {
                            let deadline: Duration = path == "hang" ? .milliseconds(100) : .seconds(20)
                            let response = try? await transport.send(.get(url, deadline: deadline))
                            #expect((response?.status == 200) == (path == "ok"))
                        }
                    }
                }
                #expect(transport.inFlight == 0)
                #expect(transport.openConnections <= 16)
            }
        }
        // Other suites may hold some at this moment, so a few are forgiven; 20 rounds of leaks would be many.
        #expect(await eventually { server.openConnectionCount == 0 && openDescriptors().count < before + 60 })
    }

    @Test func `no descriptor of a transport is inherited by a child process`() async throws {
        let server = try ScriptedHTTPServer { _ in .reply() }
        defer { server.stop() }
        let before = openDescriptors()
        try await withTransport { transport in
            _ = try await transport.send(.get(server.url))
            let inheritable = openDescriptors().subtracting(before).filter { descriptor in
                let flags = fcntl(descriptor, F_GETFD)
                return flags >= 0 && flags & FD_CLOEXEC == 0
            }
            #expect(inheritable.isEmpty)
        }
    }
}
