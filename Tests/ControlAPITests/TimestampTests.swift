import Foundation
import SandboxCore
import Testing

@testable import ControlAPI

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (1_582_934_400_000, "2020-02-29T00:00:00.000Z"),
        (1_704_067_199_999, "2023-12-31T23:59:59.999Z"),
        // 2100 is no leap year.
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-86_400_000, "1969-12-31T00:00:00.000Z"),
        (-11_644_473_600_000, "1601-01-01T00:00:00.000Z"),
    ])
    func `a known moment has a known date`(milliseconds: Int64, date: String) {
        #expect(Timestamp.format(WallTime(sinceEpoch: .milliseconds(milliseconds))) == date)
    }

    @Test(arguments: [
        (Int64.max / 1_000_000, "9999-12-31T23:59:59.999Z"), (253_402_300_800, "9999-12-31T23:59:59.999Z"),
        (-62_167_219_201, "0000-01-01T00:00:00.000Z"),
    ])
    func `what has no four-digit year is clamped`(seconds: Int64, date: String) {
        #expect(Timestamp.format(WallTime(sinceEpoch: .seconds(seconds))) == date)
    }

    @Test func `microseconds are cut off, not rounded`() {
        #expect(Timestamp.format(WallTime(sinceEpoch: .microseconds(1_999_999))) == "1970-01-01T00:00:01.999Z")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `any moment agrees with another formatter`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let other = ISO8601DateFormatter()
        other.formatOptions = [.withInternetDateTime]
        for _ in 0..<100 {
            let seconds = Int64.random(in: 0...253_402_300_799, using: &random)
            let expected = other.string(from: Date(timeIntervalSince1970: Double(seconds))).dropLast() + ".250Z"
            let own = Timestamp.format(WallTime(sinceEpoch: .seconds(seconds) + .milliseconds(250)))
            #expect(own == expected, "seed \(seed), \(seconds)")
        }
    }
}
