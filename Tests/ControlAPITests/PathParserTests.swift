import ManagerMetrics
import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct PathParserTests {
    @Test(arguments: [
        ("/v1/users/u/projects/p/sandbox", Route.sandbox),
        ("/v1/users/u/projects/p/sandbox/keepalive", .keepalive),
        ("/v1/users/u/projects/p/sandbox/pause", .pause),
        ("/v1/users/u/projects/p/sandbox/report-unhealthy", .reportUnhealthy),
        ("/v1/users/u/projects/p/sandbox/exec", .exec),
        ("/v1/explain/u/p", .explain),
        ("/v1/sandboxes", .sandboxes),
        ("/v1/stats", .stats),
        ("/v1/admin/stop-creates", .stopCreates),
        ("/v1/admin/resume-creates", .resumeCreates),
        ("/v1/admin/drain", .drain),
        ("/metrics", .metrics),
        ("/healthz", .healthz),
        ("/readyz", .readyz),
    ])
    func `a path leads to its route`(path: String, route: Route) throws {
        #expect(try PathParser.parse(path).route == route)
        #expect(PathParser.route(of: path) == route)
    }

    @Test(arguments: [
        "", "/", "//", "*", "v1/stats", "/v1", "/v1/", "/v2/stats", "/V1/stats", "//v1/stats", "/v1//stats",
        "/v1/stats/", "/v1/admin", "/v1/admin/", "/v1/admin/drain/", "/v1/admin/x", "/v2/admin/drain",
        "/v1/sandboxes/", "/metrics/", "/v1/explain/u", "/v1/explain/u/p/", "/v1/users/u/projects/p",
        "/v1/users/u/projects/p/", "/v1/users/u/projects/p/sandbox/", "/v1/users/u/projects/p/sandbox/exec/",
        "/v1/users/u/projects/p/sandbox/other", "/v1/users/u/projects/p/sandboxes", "/v1/users/u/p/projects/q/sandbox",
        "/v1/user/u/projects/p/sandbox", "/v1/users/u/project/p/sandbox", "/v1/%73tats", "/../v1/stats", "/v1/./stats",
        "/v1/sandbox%65s",
    ])
    func `anything else has no route`(path: String) throws {
        #expect(try PathParser.parse(path).route == .other)
        #expect(PathParser.route(of: path) == .other)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%2fb", "a/b"), ("a%2Fb", "a/b"), ("%25", "%"),
        // Once, and once only.
        ("%252F", "%2F"), ("%2525", "%25"), ("%c3%a9", "é"), ("%41%42", "AB"), (".", "."), ("..", ".."), ("", ""),
    ])
    func `a segment is decoded once`(segment: String, decoded: String) throws {
        let target = try PathParser.parse("/v1/users/\(segment)/projects/\(segment)/sandbox")
        #expect(target.route == .sandbox)
        #expect(target.user == decoded)
        #expect(target.project == decoded)
    }

    @Test(arguments: [
        "%", "%2", "%z", "%zz", "a%0", "%%", "%2%", "%+1", "% 1", "%00", "a%00b", "%ff", "%c3", "%c3%28", "%ed%a0%80",
        "%c0%af",
    ])
    func `a broken escape, a NUL and bytes that are no text are refused`(segment: String) {
        for path in [
            "/v1/users/\(segment)/projects/p/sandbox", "/v1/users/u/projects/\(segment)/sandbox/exec",
            "/v1/explain/\(segment)/p", "/v1/explain/u/\(segment)",
        ] {
            #expect(performing { try PathParser.parse(path) } == .invalidArgument, "\(path)")
        }
    }

    @Test func `a long path is read in full`() throws {
        let user = String(repeating: "%41", count: 20_000)
        let target = try PathParser.parse("/v1/users/\(user)/projects/p/sandbox")
        #expect(target.user == String(repeating: "A", count: 20_000))
        let slashes = String(repeating: "/", count: 100_000)
        #expect(try PathParser.parse(slashes).route == .other)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `whatever is escaped comes back`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let ids = (0..<2).map { _ in Self.text(&random) }
        let path = "/v1/users/\(Self.escaped(ids[0], &random))/projects/\(Self.escaped(ids[1], &random))/sandbox/exec"
        let target = try PathParser.parse(path)
        #expect(target.route == .exec, "seed \(seed)")
        #expect(target.user == ids[0] && target.project == ids[1], "seed \(seed)")
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `rubbish never gains or loses a segment`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("/%2F0aZ+.~v1usersandboxprojects")
        for _ in 0..<50 {
            let path = "/v1/users/" + String((0..<30).compactMap { _ in alphabet.randomElement(using: &random) })
            guard let target = try? PathParser.parse(path), target.route != .other else { continue }
            #expect([6, 7].contains(path.count { $0 == "/" }), "seed \(seed): \(path)")
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        let scalars = (0..<Int.random(in: 1...12, using: &random)).compactMap { _ -> Unicode.Scalar? in
            let ceiling: UInt32 = Bool.random(using: &random) ? 0x7F : 0x2FFFF
            return Unicode.Scalar(UInt32.random(in: 1...ceiling, using: &random))
        }
        return String(String.UnicodeScalarView(scalars))
    }

    /// What a server lets through is visible ASCII, so everything else is always escaped.
    private static func escaped(_ text: String, _ random: inout SeededGenerator) -> String {
        text.utf8.reduce(into: "") { path, byte in
            let mustEscape = byte <= 32 || byte >= 127 || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "%")
            if mustEscape || Int.random(in: 0..<4, using: &random) == 0 {
                let digits = String(byte, radix: 16, uppercase: Bool.random(using: &random))
                path += "%" + (digits.count == 1 ? "0" : "") + digits
            } else {
                path.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
    }
}
