import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveTestSupport

@testable import VarveUpkeep

/// Times have a lower bound only: how fast the machine is says nothing.
@Suite(.timeLimit(.minutes(2))) struct ThrottleTests {
    /// Bytes a second, and what is paid for one piece.
    private static let rate: UInt64 = 100_000
    private static let piece: UInt64 = 1000
    private static let pieceTime: UInt64 = 10_000_000

    private func seconds(_ body: () throws -> Void) rethrows -> UInt64 {
        let start = Clock.monotonic()
        try body()
        return Clock.monotonic() - start
    }

    @Test func asMuchAsTheRateAllows() throws {
        let throttle = Throttle(rate: Self.rate, cancellation: Cancellation())
        let time = try seconds { for _ in 0..<20 { try throttle.take(Self.piece) } }
        // The first is free, each further one waits until the one before it is paid.
        #expect(time >= 19 * Self.pieceTime)
        // What is large is paid by whoever comes next.
        let large = Throttle(rate: Self.rate, cancellation: Cancellation())
        try large.take(20 * Self.piece)
        #expect(try seconds { try large.take(1) } >= 19 * Self.pieceTime)
    }

    @Test func allReadersTogether() throws {
        let throttle = Throttle(rate: Self.rate, cancellation: Cancellation())
        let failures = Monitor(0)
        let time = try seconds {
            let threads = try (0..<4).map { _ in
                try WorkerThread {
                    for _ in 0..<5 {
                        do { try throttle.take(Self.piece) } catch { failures.change { $0 += 1 } }
                    }
                }
            }
            for thread in threads { thread.join() }
        }
        #expect(failures.change { $0 } == 0)
        #expect(time >= 19 * Self.pieceTime)
    }

    /// Time in which nobody read is lost: a disk that rested is not read faster.
    @Test func noBursts() throws {
        let throttle = Throttle(rate: Self.rate, cancellation: Cancellation())
        try throttle.take(Self.piece)
        usleep(60_000)
        #expect(try seconds { for _ in 0..<3 { try throttle.take(Self.piece) } } >= 2 * Self.pieceTime)
    }

    /// The control: without a rate nobody waits for what would take years.
    @Test func withoutARate() throws {
        let throttle = Throttle(rate: nil, cancellation: Cancellation())
        for _ in 0..<100 { try throttle.take(.max) }
    }

    @Test func anInterruptionEndsTheWaiting() throws {
        let cancellation = Cancellation()
        let throttle = Throttle(rate: 1, cancellation: cancellation)
        // Paid for in 16 minutes.
        try throttle.take(1000)
        let ended = Monitor<VarveError.Code?>(nil)
        let reader = try WorkerThread {
            do { try throttle.take(1) } catch { ended.change { $0 = (error as? VarveError)?.code } }
        }
        #expect(ended.wait(until: Clock.monotonic() + 100_000_000) { $0 } == nil, "the control: it waits")
        cancellation.request()
        reader.join()
        #expect(ended.change { $0 } == .interrupted)
        // From then on nothing is given, whatever the rate.
        expect(.interrupted) { try throttle.take(0) }
        expect(.interrupted) { try Throttle(rate: nil, cancellation: cancellation).take(0) }
    }
}
