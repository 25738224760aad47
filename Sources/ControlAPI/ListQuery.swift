internal import SandboxCore

/// What may be asked of a listing.
struct ListQuery {
    var user: String?
    var limit = 100
    var cursor: String?

    init(_ rawQuery: String?) throws(ManagerError) {
        var seen: Set<String> = []
        for pair in (rawQuery ?? "").utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(Substring(parts[0]))
            let value = parts.count == 2 ? try PathParser.decode(parts[1], of: "query") : ""
            guard seen.insert(name).inserted else { throw .invalidArgument("the query has a name twice") }
            switch name {
            case "user_id":
                // Validated like any id: rubbish is told so instead of finding nothing.
                user = try LeaseKey(user: value, project: "any").user
            case "limit":
                // `Int` would let a sign pass.
                guard value.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains), let number = Int(value)
                else { throw .invalidArgument("limit must be a whole number") }
                limit = number
            case "cursor":
                cursor = value
            default:
                throw .invalidArgument("the query has an unknown name; known are user_id, limit and cursor")
            }
        }
    }
}
