import Glibc
import Synchronization
import VarveFiles
import VarveFormat

/// Holds readers back so that all of them together read no more than so many bytes a second.
final class Throttle: Sendable {
    private let rate: UInt64?
    private let cancellation: Cancellation
    /// When what was taken so far will have been paid for, in monotonic nanoseconds.
    private let paidUntil = Mutex<UInt64>(0)

    /// - Parameter rate: nil for as fast as it goes; else not 0.
    init(rate: UInt64?, cancellation: Cancellation) {
        precondition(rate != 0)
        self.rate = rate
        self.cancellation = cancellation
    }

    /// Waits until these bytes may be read. Time that was not used is lost: there are no bursts.
    ///
    /// - Throws: `.interrupted`
    func take(_ bytes: UInt64) throws(VarveError) {
        try cancellation.check()
        guard let rate else { return }
        let start = paidUntil.withLock { paid -> UInt64 in
            let start = max(paid, Clock.monotonic())
            paid = start + UInt64(Double(bytes) / Double(rate) * 1e9)
            return start
        }
        while true {
            let now = Clock.monotonic()
            guard now < start else { return }
            // In short naps: an interruption must not wait for a slow rate.
            usleep(UInt32(min(start - now, 50_000_000) / 1000 + 1))
            try cancellation.check()
        }
    }
}
