import Synchronization
import VarveFiles
import VarveFormat
import VarveOperations

/// One line that is rewritten while work goes on. It is silent unless standard error is a terminal.
final class ProgressLine: Sendable {
    private let started = Clock.monotonic()
    private let lastShown = Mutex<UInt64>(0)

    func show(_ progress: Progress) {
        guard Terminal.isInteractive, !Terminal.isQuiet else { return }
        let now = Clock.monotonic()
        let isDue = lastShown.withLock { last -> Bool in
            guard now - last > 200_000_000 else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        Terminal.show(
            Self.text(progress, seconds: Double(now - started) / 1e9, width: Terminal.width))
    }

    /// Never wider than the terminal: a line that wraps can't be taken back.
    static func text(_ progress: Progress, seconds: Double, width: Int) -> String {
        let rate = Double(progress.bytesDone) / max(seconds, 0.001)
        var text = "\(ByteCount(progress.bytesDone))"
        if let total = progress.bytesTotal, total > 0 {
            text += " of \(ByteCount(total))"
            if rate > 0, total > progress.bytesDone, seconds > 1 {
                text += ", \(Int(min(Double(total - progress.bytesDone) / rate, 1e9))) s left"
            }
        }
        text += ", \(ByteCount(UInt64(rate)))/s"
        // The last column stays free: some terminals wrap when it is filled.
        let room = width - 1
        let left = room - Columns.count(text) - 2
        guard left >= 8 else { return Columns.shortened(text, to: room) }
        return text + ", " + Columns.shortened(Text.printable(progress.item), to: left)
    }

    var seconds: Double { Double(Clock.monotonic() - started) / 1e9 }

    func finish() { Terminal.clearLine() }
}
