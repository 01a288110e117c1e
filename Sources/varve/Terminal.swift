import Glibc
import Synchronization
import VarveFiles
import VarveFormat
import VarveOperations

/// Standard output carries data; everything said to people goes to standard error.
///
/// The one place where text meets a terminal: what came from outside (names of files, labels, hosts, words of libdb) is
/// made visible here instead of being obeyed (`Text.printable`).
enum Terminal {
    static let isInteractive = isatty(STDERR_FILENO) == 1

    /// One line.
    static func say(_ text: String) { write(Text.printable(text) + "\n") }

    /// Best effort: a terminal that is gone must not stop a backup.
    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }

    /// Data, a line or several: what can't be delivered is an error.
    static func output(_ text: String) throws { try deliver(Text.printable(text, keepsLines: true)) }

    /// For programs: as it is.
    fileprivate static func deliver(_ text: String) throws {
        let bytes = Array((text + "\n").utf8)
        var done = 0
        while done < bytes.count {
            done += try bytes[done...].withUnsafeBytes { rest in
                try systemCall("write", "standard output") {
                    Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
                }
            }
        }
    }

    static func report(_ error: VarveError) {
        clearLine()
        say("varve: \(error)")
        if let hint = error.hint { say("hint: \(hint)") }
    }

    /// In place of what the line shows now.
    static func show(_ text: String) { write("\r\u{1B}[K" + Text.printable(text)) }

    static func clearLine() {
        if isInteractive { write("\r\u{1B}[K") }
    }
}

/// One line that is rewritten while work goes on; silent unless standard error is a terminal.
final class ProgressLine: Sendable {
    private let started = Clock.monotonic()
    private let lastShown = Mutex<UInt64>(0)

    func show(_ progress: Progress) {
        guard Terminal.isInteractive else { return }
        let now = Clock.monotonic()
        let isDue = lastShown.withLock { last -> Bool in
            guard now - last > 200_000_000 else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let seconds = Double(now - started) / 1e9
        let rate = Double(progress.bytesDone) / max(seconds, 0.001)
        var text = "\(ByteCount(progress.bytesDone))"
        if let total = progress.bytesTotal, total > 0 {
            text += " of \(ByteCount(total))"
            if rate > 0, total > progress.bytesDone, seconds > 1 {
                text += ", \(Int(min(Double(total - progress.bytesDone) / rate, 1e9))) s left"
            }
        }
        text += ", \(ByteCount(UInt64(rate)))/s, \(progress.item)"
        Terminal.show(String(text.prefix(100)))
    }

    var seconds: Double { Double(Clock.monotonic() - started) / 1e9 }

    func finish() { Terminal.clearLine() }
}

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

/// Text in columns: all but the last padded; right-aligned where the column says so.
func table(_ rows: [[String]], rightAligned: Set<Int> = []) -> String {
    // A newline in a name must not begin a row, and widths are of what is shown.
    let rows = rows.map { $0.map { Text.printable($0) } }
    guard let columns = rows.map(\.count).max() else { return "" }
    let widths = (0..<columns).map { column in
        rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
        row.enumerated().map { column, text in
            let padding = String(repeating: " ", count: widths[column] - text.count)
            if rightAligned.contains(column) { return padding + text }
            return column == row.count - 1 ? text : text + padding
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}

/// Prints a value as one JSON document on standard output.
func printJSON(_ value: some Encodable) throws {
    try Terminal.deliver(String(decoding: try JSON.encode(value, indented: true), as: UTF8.self))
}
