import ManagerMetrics
import RedisClient
import Testing

/// The two modules do not know each other; the daemon maps one's raw values to the other's.
@Suite struct RedisLabelsTests {
    @Test func `every class of commands is a label of its own`() {
        #expect(RedisCommandKind.allCases.map(\.rawValue) == RedisCommandLabel.allCases.map(\.rawValue))
    }

    @Test func `every outcome of a command is a label of its own`() {
        #expect(RedisOutcome.allCases.map(\.rawValue) == RedisResultLabel.allCases.map(\.rawValue))
    }

    @Test func `every state of a connection but closed is a label of its own`() {
        let open = RedisConnectionState.allCases.filter { $0 != .closed }
        #expect(open.map(\.rawValue) == RedisConnectionLabel.allCases.map(\.rawValue))
        #expect(RedisConnectionLabel(rawValue: RedisConnectionState.closed.rawValue) == nil)
    }
}
