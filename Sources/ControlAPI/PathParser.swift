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
        let (route, ids) = split(rawPath)
        guard let ids else { return Target(route: route) }
        return Target(route: route, user: try decode(ids.user), project: try decode(ids.project))
    }

    /// The route alone, which a path has whether or not its ids can be decoded.
    static func route(of rawPath: String) -> Route { split(rawPath).route }

    private typealias Segment = Substring.UTF8View

    private static func split(_ rawPath: String) -> (route: Route, ids: (user: Segment, project: Segment)?) {
        let segments = rawPath.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        // An absolute path begins with an empty segment.
        guard segments.count >= 2, segments[0].isEmpty else { return (.other, nil) }
        if segments.count == 2 { return (single(segments[1]), nil) }
        guard segments[1].elementsEqual("v1".utf8) else { return (.other, nil) }
        let head = segments[2]
        switch segments.count {
        case 3 where head.elementsEqual("sandboxes".utf8): return (.sandboxes, nil)
        case 3 where head.elementsEqual("stats".utf8): return (.stats, nil)
        case 5 where head.elementsEqual("explain".utf8): return (.explain, (segments[3], segments[4]))
        case 7, 8:
            guard head.elementsEqual("users".utf8), segments[4].elementsEqual("projects".utf8),
                segments[6].elementsEqual("sandbox".utf8)
            else { return (.other, nil) }
            let route = segments.count == 7 ? .sandbox : action(segments[7])
            return (route, route == .other ? nil : (segments[3], segments[5]))
        default: return (.other, nil)
        }
    }

    /// One path segment or query value, `part` naming what it is taken from. `+` is literal.
    static func decode(
        _ raw: Substring.UTF8View,
        of part: StaticString = "path"
    ) throws(ManagerError) -> String {
        guard raw.contains(UInt8(ascii: "%")) else { return String(Substring(raw)) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var rest = raw[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw .invalidArgument("the \(part) has a % that is not followed by two hex digits")
            }
            let value = high << 4 | low
            guard value != 0 else { throw .invalidArgument("the \(part) has a NUL character") }
            bytes.append(value)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalidArgument("the \(part) is not valid UTF-8")
        }
        return text
    }

    private static func single(_ segment: Segment) -> Route {
        if segment.elementsEqual("metrics".utf8) { return .metrics }
        if segment.elementsEqual("healthz".utf8) { return .healthz }
        if segment.elementsEqual("readyz".utf8) { return .readyz }
        return .other
    }

    private static func action(_ segment: Segment) -> Route {
        if segment.elementsEqual("exec".utf8) { return .exec }
        if segment.elementsEqual("keepalive".utf8) { return .keepalive }
        if segment.elementsEqual("pause".utf8) { return .pause }
        if segment.elementsEqual("report-unhealthy".utf8) { return .reportUnhealthy }
        return .other
    }
}
