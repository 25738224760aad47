internal import SandboxCore

/// RFC 3339 in UTC with milliseconds.
enum Timestamp {
    /// The years that RFC 3339 can write, as milliseconds since 1970; anything beyond is shown as the end it lies behind.
    private static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    static func format(_ time: WallTime) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(24)
        append(time, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    static func append(_ time: WallTime, to text: inout [UInt8]) {
        let milliseconds = min(max(floored(time.microseconds, by: 1000), range.lowerBound), range.upperBound)
        let day = floored(milliseconds, by: 86_400_000)
        let inDay = milliseconds - day * 86_400_000
        let (year, month, dayOfMonth) = civil(day)
        let second = inDay / 1000
        append(year, 4, UInt8(ascii: "-"), to: &text)
        append(month, 2, UInt8(ascii: "-"), to: &text)
        append(dayOfMonth, 2, UInt8(ascii: "T"), to: &text)
        append(second / 3600, 2, UInt8(ascii: ":"), to: &text)
        append(second / 60 % 60, 2, UInt8(ascii: ":"), to: &text)
        append(second % 60, 2, UInt8(ascii: "."), to: &text)
        append(inDay % 1000, 3, UInt8(ascii: "Z"), to: &text)
    }

    /// `number` has at most `width` digits and is not negative.
    private static func append(_ number: Int64, _ width: Int, _ end: UInt8, to text: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
        text.append(end)
    }

    /// Rounded down, also below zero.
    private static func floored(_ number: Int64, by divisor: Int64) -> Int64 {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// Days since 1970-01-01 as a date of the Gregorian calendar.
    ///
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floored(shifted, by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
