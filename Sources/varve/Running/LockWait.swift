import ArgumentParser
import Glibc
import VarveFiles
import VarveFormat
import VarveOperations

/// How long to wait for a lock.
struct WaitOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Wait at most this long for a lock that another process holds: 90s, 10m, 2h. Without it, a held lock is an \
            error at once (exit code 11).
            """,
            valueName: "duration"), transform: DurationArgument.init)
    var wait: DurationArgument?

    /// One for each run: what one operation has waited, the next one has not.
    func patience() -> LockPatience { LockPatience(seconds: wait?.seconds ?? 0) }
}

/// Tries an operation again while another process holds its lock.
///
/// The locks of a repository, an environment and a restore's target are taken before anything is changed, so an operation
/// that throws `.locked` has done nothing, and can be tried again. It must look at the world anew each time: what the
/// other process did meanwhile belongs to it.
final class LockPatience {
    /// Between two tries, in seconds.
    private static let pause = 0.5
    /// What is left to wait, in seconds.
    private var left: Double

    init(seconds: Double) { left = seconds }

    /// - Parameter operation: is told whether it is tried again.
    /// - Throws: what the operation throws, `.locked` too when the time is over; `.interrupted` while it waits.
    func retry<T>(_ operation: (_ isAgain: Bool) throws -> T) throws -> T {
        var isAgain = false
        while true {
            do {
                return try operation(isAgain)
            } catch let error as VarveError where error.code == .locked && left > 0 {
                if !isAgain { Terminal.remark("waiting up to \(fixed(left)) s: \(error)") }
                isAgain = true
                try sleep()
            }
        }
    }

    private func sleep() throws {
        let begin = Clock.monotonic()
        let milliseconds = Int32(min(Self.pause, left) * 1000) + 1
        var wake = pollfd(fd: Interruption.cancellation.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        _ = poll(&wake, 1, milliseconds)
        try Interruption.cancellation.check()
        left -= Double(Clock.monotonic() - begin) / 1e9
    }
}
