internal import ManagerMetrics
internal import SandboxCore

/// Where a request goes: the route's template and the ids in its path, decoded.
struct Target {
    var route: Route
    var user: String = ""
    var project: String = ""
}

/// Splits a raw path on `/` and decodes each segment once, so that an escaped slash never becomes a separator.
enum PathParser {
    /// - Throws: `.invalidArgument` for a broken escape or a NUL.
    static func parse(_ rawPath: String) throws(ManagerError) -> Target {
        let segments = rawPath.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        // An absolute path begins with an empty segment.
        guard segments.count >= 2, segments[0].isEmpty else { return Target(route: .other) }
        let version = segments[1]
        if segments.count == 2 { return Target(route: single(version)) }
        guard version.elementsEqual("v1".utf8) else { return Target(route: .other) }
        let head = segments[2]
        switch segments.count {
        case 3 where head.elementsEqual("sandboxes".utf8): return Target(route: .sandboxes)
        case 3 where head.elementsEqual("stats".utf8): return Target(route: .stats)
        case 5 where head.elementsEqual("explain".utf8):
            return Target(route: .explain, user: try decode(segments[3]), project: try decode(segments[4]))
        case 7, 8:
            guard head.elementsEqual("users".utf8), segments[4].elementsEqual("projects".utf8),
                segments[6].elementsEqual("sandbox".utf8)
            else { return Target(route: .other) }
            let route = segments.count == 7 ? .sandbox : action(segments[7])
            guard route != .other else { return Target(route: .other) }
            return Target(route: route, user: try decode(segments[3]), project: try decode(segments[5]))
        default: return Target(route: .other)
        }
    }

    /// One path segment or query value. `+` is literal.
    static func decode(_ raw: Substring.UTF8View.SubSequence) throws(ManagerError) -> String {
        guard raw.contains(UInt8(ascii: "%")) else { return String(Substring(raw)) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var rest = raw[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                throw .invalidArgument("the path has a % that is not followed by two hex digits")
            }
            let value = high << 4 | low
            guard value != 0 else { throw .invalidArgument("the path has a NUL character") }
            bytes.append(value)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalidArgument("the path is not valid UTF-8")
        }
        return text
    }

    private static func single(_ segment: Substring.UTF8View) -> Route {
        if segment.elementsEqual("metrics".utf8) { return .metrics }
        if segment.elementsEqual("healthz".utf8) { return .healthz }
        if segment.elementsEqual("readyz".utf8) { return .readyz }
        return .other
    }

    private static func action(_ segment: Substring.UTF8View) -> Route {
        if segment.elementsEqual("exec".utf8) { return .exec }
        if segment.elementsEqual("keepalive".utf8) { return .keepalive }
        if segment.elementsEqual("pause".utf8) { return .pause }
        if segment.elementsEqual("report-unhealthy".utf8) { return .reportUnhealthy }
        return .other
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
