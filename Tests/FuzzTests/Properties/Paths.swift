import Foundation
import ManagerMetrics
import SandboxCore

@testable import ControlAPI
@testable import RedisLeaseStore

extension FuzzTarget {
    /// The target of a request: routes, ids and queries.
    static let paths = FuzzTarget(name: "paths") { bytes in
        // The server refuses all others before they come here.
        guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return [] }
        let target = String(decoding: bytes, as: UTF8.self)
        let path = String(target.prefix { $0 != "?" })
        let query = target.contains("?") ? String(target.drop { $0 != "?" }.dropFirst()) : nil
        return pathFindings(path) + queryFindings(query)
    }

    private static func pathFindings(_ path: String) -> [String] {
        var findings = Findings()
        let route = PathParser.route(of: path)
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        let parsed = try? PathParser.parse(path)
        if let parsed { findings.expectEqual(parsed.route, route, "the route of the whole and of the path") }
        let raw: [Substring]
        switch route {
        case .explain: raw = [segments[3], segments[4]]
        case .sandbox, .exec, .keepalive, .pause, .reportUnhealthy: raw = [segments[3], segments[5]]
        default:
            findings.expect(parsed != nil, "a path without ids cannot be wrong")
            return findings.words
        }
        // The oracle: Foundation's own decoder, which knows nothing of NUL.
        let decoded = raw.map { $0.removingPercentEncoding }.map { $0?.utf8.contains(0) == true ? nil : $0 }
        findings.expectEqual(
            parsed.map { [$0.user, $0.project] },
            decoded.contains(nil) ? nil : decoded.compactMap(\.self),
            "ids"
        )
        guard let parsed else { return findings.words }
        let key = try? LeaseKey(user: parsed.user, project: parsed.project)
        findings.expectEqual(key != nil, isID(parsed.user) && isID(parsed.project), "what may be an id")
        if let key {
            findings.expectEqual(key, LeaseKey(canonical: key.canonical), "a key and its canonical name (S1)")
        }
        return findings.words
    }

    private static func queryFindings(_ query: String?) -> [String] {
        var findings = Findings()
        guard let read = try? ListQuery(query) else { return [] }
        findings.expect(read.limit >= 0, "a limit below zero")
        if let user = read.user { findings.expect(isID(user), "a user that is no id") }
        // The oracle: what is accepted is a query that Foundation reads the same way.
        let text = "http://host/?" + (query ?? "").replacingOccurrences(of: "&&", with: "&")
        guard let components = URLComponents(string: text, encodingInvalidCharacters: false) else {
            return findings.words
        }
        let cursor = components.queryItems?.last { $0.name == "cursor" }.map { $0.value ?? "" }
        if let query, !query.contains("["), !query.contains("]") {
            findings.expectEqual(read.cursor, cursor, "the cursor of \(query)")
        }
        return findings.words
    }

    /// What an id may be, in other words than the product's.
    private static func isID(_ text: String) -> Bool {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+=|".unicodeScalars)
        return (1...128).contains(text.unicodeScalars.count) && text.unicodeScalars.allSatisfy(allowed.contains)
    }
}
