import HTTPServer
import HTTPTypes
import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct AccessPolicyTests {
    private static let old = "old-token-0123456789"
    private static let new = "new-token-9876543210"

    private func request(_ headers: HTTPFields) -> ServerRequest {
        ServerRequest(method: .get, rawPath: "/v1/stats", headers: headers)
    }

    private func isRefused(_ policy: AccessPolicy, _ headers: HTTPFields) -> Bool {
        let problem = policy.refusal(request(headers))
        #expect(problem == nil || problem?.status == 401)
        return problem != nil
    }

    @Test(arguments: ["Bearer old-token-0123456789", "bearer new-token-9876543210", "BEARER old-token-0123456789"])
    func `either of two tokens is let in while one replaces the other`(header: String) {
        let policy = AccessPolicy(tokens: [Secret(Self.old), Secret(Self.new)])
        #expect(!isRefused(policy, [.authorization: header]))
        // With a token, whence a request comes does not matter.
        #expect(!isRefused(policy, [.authorization: header, .host: "evil.example", .origin: "https://evil.example"]))
    }

    @Test(arguments: [
        "", "Bearer", "Bearer ", "Bearer  old-token-0123456789", "old-token-0123456789",
        "Basic old-token-0123456789", "Bearer old-token-012345678", "Bearer old-token-01234567890",
        "Bearer OLD-TOKEN-0123456789", "Bearer old-token-0123456788", "Bearer xld-token-0123456789",
        "Bearer old-token-0123456789, Bearer old-token-0123456789", "Bearer\told-token-0123456789",
    ])
    func `anything else is not`(header: String) {
        let policy = AccessPolicy(tokens: [Secret(Self.old)])
        #expect(isRefused(policy, [.authorization: header]))
    }

    @Test func `no header is no token`() {
        #expect(isRefused(AccessPolicy(tokens: [Secret(Self.old)]), [.host: "localhost"]))
    }

    @Test func `two headers are not let in on the strength of one`() {
        var headers: HTTPFields = [.authorization: "Bearer \(Self.old)"]
        headers.append(HTTPField(name: .authorization, value: "Bearer wrong"))
        #expect(isRefused(AccessPolicy(tokens: [Secret(Self.old)]), headers))
    }

    @Test func `an empty token lets nobody in`() {
        #expect(isRefused(AccessPolicy(tokens: [Secret("")]), [.authorization: "Bearer "]))
        #expect(isRefused(AccessPolicy(tokens: [Secret("")]), [:]))
    }

    @Test func `comparing is equality of bytes`() {
        let texts = ["", "a", "b", "ab", "ba", "aa", "\u{E9}", "e\u{301}"].map { Array($0.utf8) }
        for one in texts { for other in texts { #expect(AccessPolicy.areEqual(one, other) == (one == other)) } }
    }

    // MARK: Without tokens

    @Test(arguments: [
        "localhost", "LOCALHOST", "LocalHost:8484", "localhost:1", "127.0.0.1", "127.0.0.1:8484", "127.255.255.254",
        "[::1]", "[::1]:8484", "localhost:",
    ])
    func `without a token loopback names are served`(host: String) {
        #expect(!isRefused(AccessPolicy(tokens: []), [.host: host]))
    }

    @Test(arguments: [
        "", "evil.example", "localhost.evil.example", "evil.localhost.example", "localhost.", "xlocalhost",
        "localhostx",
        "127.0.0.1.evil.example", "127.0.0.1.", "127.0.0", "127.0.0.256", "127.0.0.1.1", "127.1", "2130706433",
        "0x7f.0.0.1", "128.0.0.1", "0.0.0.0", "10.0.0.1", "[::1", "::1", "[::1]evil.example", "[::1].evil.example",
        "[::1]:80@evil.example", "[::2]", "[::]", "[::1]:x", "localhost:80@evil.example", "localhost:evil",
        "localhost:8484:1", "localhost@evil.example", "user@localhost", "localhost, evil.example", "127.0.0.+1",
        "127.0.0.1:99999", "localhost:-1", "localhost/", "lo\u{212A}alhost", "[127.0.0.1]",
    ])
    func `without a token no other host is`(host: String) {
        #expect(isRefused(AccessPolicy(tokens: []), [.host: host]))
    }

    @Test(arguments: ["http://localhost", "http://localhost:3000", "https://127.0.0.1:3000", "http://[::1]:3000"])
    func `a page from this machine is served`(origin: String) {
        #expect(!isRefused(AccessPolicy(tokens: []), [.host: "localhost", .origin: origin]))
    }

    @Test(arguments: [
        "null", "", "https://evil.example", "http://localhost.evil.example", "http://evil.example:80", "file://",
        "localhost", "//localhost", "http://", "http:/localhost", "http://localhost, https://evil.example",
        "http://localhost:1, https://evil.example", "http://localhost@evil.example", "http://evil.example/localhost",
        "http://localhost/", "chrome-extension://localhost", "javascript://localhost",
    ])
    func `a foreign page is not`(origin: String) {
        #expect(isRefused(AccessPolicy(tokens: []), [.host: "localhost", .origin: origin]))
    }

    @Test func `a loopback host among several is not enough`() {
        var headers: HTTPFields = [.host: "localhost"]
        headers.append(HTTPField(name: .host, value: "evil.example"))
        #expect(isRefused(AccessPolicy(tokens: []), headers))
    }

    @Test func `a program without a host header is let in`() {
        // HTTP/1.0 has none, and every browser sends one.
        #expect(!isRefused(AccessPolicy(tokens: []), [:]))
    }
}
