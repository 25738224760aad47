import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct ListQueryTests {
    @Test(arguments: [nil, "", "&", "&&"] as [String?])
    func `nothing asked is everything, a hundred at a time`(raw: String?) throws {
        let query = try ListQuery(raw)
        #expect(query.user == nil && query.cursor == nil && query.limit == 100)
    }

    @Test func `each name is understood`() throws {
        let query = try ListQuery("limit=5&user_id=a%2Bb%40c+d&cursor=u%3Ap")
        #expect(query.user == "a+b@c+d")
        #expect(query.limit == 5)
        #expect(query.cursor == "u:p")
    }

    @Test(arguments: [
        "limit=", "limit", "limit=ten", "limit=1.5", "limit=0x10", "limit=99999999999999999999", "limit=+5", "limit= 5",
        "limit=%zz", "cursor=%00", "cursor=%ff", "user_id=", "user_id=a%2Fb", "user_id=a b", "user=a", "LIMIT=1",
        "user%5Fid=a", "=", "=x", "limit=1=2",
    ])
    func `rubbish is told so`(raw: String) {
        #expect(performing { try ListQuery(raw) } == .invalidArgument)
    }

    @Test(arguments: ["limit=1&limit=2", "user_id=a&user_id=b", "cursor=a&cursor=a"])
    func `a name given twice is refused, as one of the two would be ignored`(raw: String) {
        #expect(performing { try ListQuery(raw) } == .invalidArgument)
    }

    @Test func `the words speak of the query, not of the path`() throws {
        let error = #expect(throws: ManagerError.self) { try ListQuery("cursor=%zz") }
        guard case .invalidArgument(let words) = try #require(error) else { return }
        #expect(!words.contains("path"))
    }
}
