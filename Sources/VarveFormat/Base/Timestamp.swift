/// A moment of UTC, to the nanosecond, written as RFC 3339 (`2026-05-04T03:02:01.5Z`).
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z, without leap seconds, as `clock_gettime(CLOCK_REALTIME)` counts.
    package var seconds: Int64
    /// 0..<1_000_000_000
    package var nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = min(nanoseconds, 999_999_999)
    }

    /// The first and the last moment that RFC 3339, with its four digits for a year, can write.
    package static let earliest = Timestamp(seconds: -62_167_219_200)
    package static let latest = Timestamp(seconds: 253_402_300_799, nanoseconds: 999_999_999)

    /// Whether `description` can be read again.
    package var isWritable: Bool { self >= .earliest && self <= .latest }

    /// Itself, or the nearest moment that is writable.
    package var writable: Timestamp { max(.earliest, min(self, .latest)) }

    package static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }

    /// Seconds that clocks may differ by.
    package static let clockTolerance: Int64 = 600

    /// No moment that has been: a clock was wrong when this was written, or is now. It proves nothing.
    package func isFuture(at now: Timestamp) -> Bool { seconds > now.seconds + Self.clockTolerance }

    package var description: String {
        // Rounded down, and without an overflow at either end.
        let rest = seconds % 86400
        let day = seconds / 86400 - (rest < 0 ? 1 : 0)
        let time = Int(rest < 0 ? rest + 86400 : rest)
        let date = Self.civil(fromDays: day)
        var text =
            "\(Self.padded(Int(date.year), 4))-\(Self.padded(date.month, 2))-\(Self.padded(date.day, 2))"
        text +=
            "T\(Self.padded(time / 3600, 2)):\(Self.padded(time / 60 % 60, 2)):\(Self.padded(time % 60, 2))"
        if nanoseconds != 0 {
            var fraction = Self.padded(Int(nanoseconds), 9)[...]
            while fraction.last == "0" { fraction.removeLast() }
            text += ".\(fraction)"
        }
        return text + "Z"
    }

    /// Reads what `description` writes, and no other spelling but fewer or more fraction digits (at most 9).
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count <= 30, bytes.last == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard byte >= 48, byte <= 57 else { return nil }
                value = value * 10 + Int(byte - 48)
            }
            return value
        }
        let separators: [(Int, Character)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
        guard separators.allSatisfy({ bytes[$0.0] == $0.1.asciiValue }),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var fraction = 0
        if bytes.count > 20 {
            let digits = 20..<bytes.count - 1
            guard bytes[19] == UInt8(ascii: "."), !digits.isEmpty, let value = number(digits) else {
                return nil
            }
            fraction = (digits.count..<9).reduce(value) { scaled, _ in scaled * 10 }
        }
        let days = Self.days(fromYear: Int64(year), month: month, day: day)
        // 30 February is a day of March by another name.
        guard Self.civil(fromDays: days).day == day else { return nil }
        self.init(
            seconds: days * 86400 + Int64(hour * 3600 + minute * 60 + second), nanoseconds: UInt32(fraction))
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Days since 1970-01-01 to the proleptic Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level
    /// Date Algorithms", `civil_from_days`).
    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, Int(month), Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1))
    }

    /// The inverse (`days_from_civil`).
    private static func days(fromYear year: Int64, month: Int, day: Int) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let shiftedMonth = Int64(month > 2 ? month - 3 : month + 9)
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + Int64(day) - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an RFC 3339 time in UTC")
        }
        self = value
    }

    /// - Throws: for a moment that could not be read again: outside of the years 0 to 9999.
    package func encode(to encoder: any Encoder) throws {
        guard isWritable else {
            throw EncodingError.invalidValue(
                self,
                .init(
                    codingPath: encoder.codingPath,
                    debugDescription: "\(self) is outside of the years 0 to 9999"))
        }
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension ByteWriter {
    mutating func timestamp(_ time: Timestamp) {
        integer(time.seconds)
        integer(time.nanoseconds)
    }
}

extension ByteReader {
    mutating func timestamp() throws(VarveError) -> Timestamp {
        let seconds: Int64 = try integer()
        let nanoseconds: UInt32 = try integer()
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        guard nanoseconds < 1_000_000_000, time.isWritable else {
            throw VarveError(.corrupt, "\(what) has a time that can't be")
        }
        return time
    }
}
