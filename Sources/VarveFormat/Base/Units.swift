/// The position of a record in a Berkeley DB log: file number, then the byte offset in that file.
///
/// On pages and in log records both are stored as `u32` (`DB_LSN` in `db.h`).
package struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var file: UInt32
    package var offset: UInt32

    package init(file: UInt32, offset: UInt32) {
        self.file = file
        self.offset = offset
    }

    /// "No LSN": a page that was never logged.
    package static let zero = LSN(file: 0, offset: 0)

    package static func < (a: LSN, b: LSN) -> Bool {
        (a.file, a.offset) < (b.file, b.offset)
    }

    /// As `db_printlog` prints it: `[12][3456]`.
    package var description: String { "[\(file)][\(offset)]" }
}

/// The number of a page in its database file; its byte offset is this times the page size.
package struct PageNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: PageNumber, b: PageNumber) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(rawValue) }
}

/// A number of bytes, printed in binary units.
package struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: Int) { self.rawValue = UInt64(rawValue) }
    package static func < (a: ByteCount, b: ByteCount) -> Bool { a.rawValue < b.rawValue }

    /// Three significant digits or whole bytes: `512 B`, `1.50 KiB`, `187 MiB`.
    package var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(rawValue)
        var unit = 0
        while value >= 1023.5 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(rawValue) B" }
        let decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
        return "\(Self.fixed(value, decimals: decimals)) \(units[unit])"
    }

    static func fixed(_ value: Double, decimals: Int) -> String {
        let scale = decimals == 2 ? 100.0 : decimals == 1 ? 10.0 : 1.0
        let scaled = UInt64(value * scale + 0.5)
        if decimals == 0 { return String(scaled) }
        let fraction = String(scaled % UInt64(scale))
        let padding = String(repeating: "0", count: decimals - fraction.count)
        return "\(scaled / UInt64(scale)).\(padding)\(fraction)"
    }
}
