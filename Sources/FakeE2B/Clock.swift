internal import Glibc

/// Civil time in microseconds since 1970, which tests can move forward.
struct FakeClock: Sendable {
    /// How far this clock is ahead of the system's.
    var ahead = 0

    var now: Int {
        var time = timespec()
        // CLOCK_REALTIME always exists.
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1_000_000 + time.tv_nsec / 1000 + ahead
    }

    /// RFC 3339 with microseconds.
    static func rfc3339(_ microseconds: Int) -> String {
        let parts = civil(microseconds)
        let date = "\(padded(parts.year, 4))-\(padded(parts.month, 2))-\(padded(parts.day, 2))"
        let clock = "\(padded(parts.hour, 2)):\(padded(parts.minute, 2)):\(padded(parts.second, 2))"
        return "\(date)T\(clock).\(padded(microseconds % 1_000_000, 6))Z"
    }

    /// The `Date` header.
    static func httpDate(_ microseconds: Int) -> String {
        let parts = civil(microseconds)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let clock = "\(padded(parts.hour, 2)):\(padded(parts.minute, 2)):\(padded(parts.second, 2))"
        return "\(days[parts.weekday]), \(padded(parts.day, 2)) \(months[parts.month - 1]) \(parts.year) \(clock) GMT"
    }

    /// Reads RFC 3339 in UTC, with or without a fraction.
    static func parse(_ text: String) -> Int? {
        guard text.hasSuffix("Z") else { return nil }
        let halves = text.dropLast().split(separator: ".", maxSplits: 1)
        let numbers = halves.first?.split { "-T:".contains($0) }.compactMap { Int($0) } ?? []
        guard numbers.count == 6 else { return nil }
        var time = tm()
        time.tm_year = Int32(numbers[0] - 1900)
        time.tm_mon = Int32(numbers[1] - 1)
        time.tm_mday = Int32(numbers[2])
        time.tm_hour = Int32(numbers[3])
        time.tm_min = Int32(numbers[4])
        time.tm_sec = Int32(numbers[5])
        let fraction = halves.count > 1 ? String((halves[1] + "000000").prefix(6)) : "0"
        guard let microseconds = Int(fraction) else { return nil }
        return timegm(&time) * 1_000_000 + microseconds
    }

    private typealias Civil = (
        year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, weekday: Int
    )

    private static func civil(_ microseconds: Int) -> Civil {
        var seconds = time_t(microseconds / 1_000_000)
        var time = tm()
        gmtime_r(&seconds, &time)
        return (
            Int(time.tm_year) + 1900, Int(time.tm_mon) + 1, Int(time.tm_mday), Int(time.tm_hour), Int(time.tm_min),
            Int(time.tm_sec), Int(time.tm_wday)
        )
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
