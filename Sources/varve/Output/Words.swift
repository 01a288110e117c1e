import VarveFormat

/// `1.25 s, 440 MiB/s`
func rate(_ bytes: UInt64, _ seconds: Double) -> String {
    "\(fixed(seconds)) s, \(ByteCount(UInt64(Double(bytes) / max(seconds, 0.001))))/s"
}

/// Two decimals, without a locale.
func fixed(_ value: Double) -> String {
    let hundredths = Int(value * 100 + 0.5)
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}

func objects(_ count: Int) -> String { count == 1 ? "1 object" : "\(count) objects" }

func snapshots(_ count: Int) -> String { count == 1 ? "1 snapshot" : "\(count) snapshots" }

/// `3 d`, `5 h`: one unit is enough to tell how old something is.
func age(_ seconds: Int64) -> String {
    let units: [(Int64, String)] = [(86400, "d"), (3600, "h"), (60, "min")]
    for (length, unit) in units where seconds >= 2 * length { return "\(seconds / length) \(unit)" }
    return "\(max(0, seconds)) s"
}

extension Timestamp {
    /// Without the fraction: enough for a list.
    var toSeconds: String { Timestamp(seconds: seconds).description }
}

/// Text in columns: all but the last padded; right-aligned where the column says so.
func table(_ rows: [[String]], rightAligned: Set<Int> = []) -> String {
    // A newline in a name must not begin a row, and widths are of what is shown.
    let rows = rows.map { $0.map { Text.printable($0) } }
    guard let columns = rows.map(\.count).max() else { return "" }
    let widths = (0..<columns).map { column in
        rows.map { column < $0.count ? Columns.count($0[column]) : 0 }.max() ?? 0
    }
    return rows.map { row in
        row.enumerated().map { column, text in
            let padding = String(repeating: " ", count: widths[column] - Columns.count(text))
            if rightAligned.contains(column) { return padding + text }
            return column == row.count - 1 ? text : text + padding
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}
