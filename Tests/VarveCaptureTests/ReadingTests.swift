import Testing
import VarveFiles
import VarveFormat

@testable import VarveCapture

/// When a file need not be read: every single thing that speaks against it is enough.
@Suite struct ReadingTests {
    private static func time(_ seconds: Int64, _ nanoseconds: UInt32 = 1) -> Timestamp {
        Timestamp(seconds: 1_700_000_000 + seconds, nanoseconds: nanoseconds)
    }

    private static let before = Manifest.StoredFile.FileIdentity(
        device: 1, inode: 2, size: 4096, modified: time(0), changed: time(1), read: time(10), margin: 2,
        mounting: "boot/xfs/7")

    private static let now: Manifest.StoredFile.FileIdentity = {
        var now = before
        now.read = time(1000)
        return now
    }()

    private func decide(
        _ change: (inout Manifest.StoredFile.FileIdentity, inout Manifest.StoredFile.FileIdentity) -> Void
    )
        -> Reading
    {
        var (before, now) = (Self.before, Self.now)
        change(&before, &now)
        return Reading.decide(before: before, now: now)
    }

    /// The control of all others.
    @Test func whatCannotHaveChangedIsNotRead() {
        #expect(decide { _, _ in } == .unchanged)
        #expect(decide { $1.margin = 600 } == .unchanged, "what counts is how it was read then")
    }

    @Test func nothingIsTakenFromASnapshotThatDoesNotSay() {
        #expect(Reading.decide(before: nil, now: Self.now) == .untracked)
    }

    @Test func anotherFile() {
        #expect(decide { $1.inode = 3 } == .replaced)
        #expect(decide { $1.device = 3 } == .replaced)
    }

    @Test func aChangedFile() {
        #expect(decide { $1.size = 8192 } == .changed)
        #expect(decide { $1.modified = Self.time(0, 2) } == .changed)
        // `touch -d` gives the old mtime back, and a new ctime.
        #expect(decide { $1.changed = Self.time(1, 2) } == .changed)
        // Times that went back are as good as new ones.
        #expect(decide { $1.changed = Self.time(-5) } == .changed)
    }

    @Test func timesThatProveNothing() {
        #expect(decide { $1.mounting = nil } == .untrusted)
        #expect(
            decide {
                $0.mounting = nil
                $1.mounting = nil
            } == .untrusted)
        #expect(
            decide {
                $0.changed = Self.time(1, 0)
                $1.changed = Self.time(1, 0)
            } == .untrusted, "whole seconds")
    }

    /// Also another run of the machine.
    @Test func anotherMounting() {
        #expect(decide { $1.mounting = "boot/xfs/8" } == .remounted)
        #expect(decide { before, _ in before.mounting = nil } == .remounted)
    }

    /// Read at 10 s and 1 ns with a margin of 2 s.
    @Test(
        arguments: [
            (7, 999_999_999, .unchanged), (8, 1, .fresh), (9, 5, .fresh), (10, 1, .fresh),
            // In the future of when it was read.
            (11, 1, .fresh), (100_000, 1, .fresh),
        ] as [(Int64, UInt32, Reading)])
    func changedShortlyBeforeItWasRead(_ seconds: Int64, _ nanoseconds: UInt32, _ expected: Reading) {
        let time = Self.time(seconds, nanoseconds)
        let byModified = decide { before, now in (before.modified, now.modified) = (time, time) }
        #expect(byModified == expected)
        let byChanged = decide { before, now in (before.changed, now.changed) = (time, time) }
        #expect(byChanged == expected)
        // Read later, the same times are old.
        let later = decide { before, now in
            (before.changed, now.changed) = (time, time)
            (before.read, now.read) = (Self.time(200_000), Self.time(200_001))
        }
        #expect(later == .unchanged)
    }

    @Test func aClockThatWentBack() {
        #expect(decide { $1.read = Self.time(9) } == .clock)
        #expect(decide { $1.read = Self.time(10) } == .unchanged)
    }

    /// Times of a hostile manifest must not trap.
    @Test func impossibleTimes() {
        let first = Timestamp(seconds: .min)
        #expect(decide { before, _ in before.read = first } == .fresh)
    }
}
