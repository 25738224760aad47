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

    /// Runs twice for every request: one pass finds the slashes, and nothing is allocated.
    private static func split(_ rawPath: String) -> (route: Route, ids: (user: Segment, project: Segment)?) {
        let path = rawPath.utf8
        var slashes = InlineArray<7, Segment.Index>(repeating: path.startIndex)
        var count = 0
        var index = path.startIndex
        while index < path.endIndex {
            if path[index] == UInt8(ascii: "/") {
                // No route has more.
                guard count < slashes.count else { return (.other, nil) }
                slashes[count] = index
                count += 1
            }
            path.formIndex(after: &index)
        }
        // An absolute path begins with a slash.
        guard count > 0, slashes[0] == path.startIndex else { return (.other, nil) }

        func segment(_ number: Int) -> Segment {
            let end = number + 1 < count ? slashes[number + 1] : path.endIndex
            return path[path.index(after: slashes[number])..<end]
        }
        if count == 1 { return (single(segment(0)), nil) }
        guard segment(0).elementsEqual("v1".utf8) else { return (.other, nil) }
        switch count {
        case 2 where segment(1).elementsEqual("sandboxes".utf8): return (.sandboxes, nil)
        case 2 where segment(1).elementsEqual("stats".utf8): return (.stats, nil)
        case 3 where segment(1).elementsEqual("admin".utf8): return (administration(segment(2)), nil)
        case 4 where segment(1).elementsEqual("explain".utf8): return (.explain, (segment(2), segment(3)))
        case 6, 7:
            guard segment(1).elementsEqual("users".utf8), segment(3).elementsEqual("projects".utf8),
                segment(5).elementsEqual("sandbox".utf8)
            else { return (.other, nil) }
            let route = count == 6 ? .sandbox : action(segment(6))
            return (route, route == .other ? nil : (segment(2), segment(4)))
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

    private static func administration(_ segment: Segment) -> Route {
        if segment.elementsEqual("stop-creates".utf8) { return .stopCreates }
        if segment.elementsEqual("resume-creates".utf8) { return .resumeCreates }
        if segment.elementsEqual("drain".utf8) { return .drain }
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
