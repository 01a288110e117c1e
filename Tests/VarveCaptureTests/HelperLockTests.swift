import Glibc
import Testing
import VarveDatabase
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

@testable import VarveCapture

/// The helper is killed while it opens a database and waits for a lock that a transaction has.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct HelperLockTests {
    enum Object: String, CaseIterable, Sendable {
        /// For reading, and the file's handle is held meanwhile.
        case firstPage
        /// For writing, before anything else.
        case environment

        var arguments: [String] { self == .firstPage ? ["--database", "btree1.db"] : [] }
        var locks: UInt32 { self == .firstPage ? 2 : 1 }
    }

    private static let options = HelperDeathTests.options + ["--rate", "500", "--seconds", "900"]

    private struct Dead {
        var process: Int32
        var thread: UInt64
    }

    /// A transaction that has the lock, for some seconds.
    private func hold(_ object: Object, _ writer: Writer, _ directory: TemporaryHome, seconds: Int) throws
        -> Program
    {
        let ready = directory["held-\(UInt64.random(in: 0 ... .max))"]
        let holder = try Program.workload(
            ["hold", "--home", writer.home, "--ready", ready, "--seconds", String(seconds)]
                + object.arguments)
        let deadline = ContinuousClock.now + .seconds(10)
        while try FileStatus.of(ready) == nil {
            try #require(ContinuousClock.now < deadline, "the lock is not to be had")
            usleep(5000)
        }
        return holder
    }

    /// By libdb's own program.
    private func lockers(_ writer: Writer, _ dead: Dead) throws -> [LockerList.Locker] {
        let listing = try Program("/usr/bin/db5.3_stat", ["-C", "l", "-h", writer.home]).finish()
        #expect(listing.status == .exited(0), "\(listing.output)")
        var list = LockerList(process: dead.process, thread: dead.thread)
        for line in listing.output.split(separator: "\n") { list.add(String(line)) }
        #expect(!list.isDamaged, "\(listing.output)")
        return list.lockers
    }

    private func statuses(_ writer: Writer, _ dead: Dead) throws -> [LockerList.Lock.Status] {
        try lockers(writer, dead).flatMap { $0.locks.map(\.status) }.sorted { $0.rawValue < $1.rawValue }
    }

    /// Kills a helper that carries out the commands once it waits for a lock.
    private func killedWaiting(_ writer: Writer, _ commands: [CaptureCommand]) throws -> Dead {
        let lock = try EnvironmentLock(home: writer.home)
        let helper = try HelperProcess(
            executable: try program("varve-capture-bdb"), password: nil, lock: lock, slots: 64)
        try helper.send(.join(CaptureEnvironment(home: writer.home)))
        for command in commands { try helper.send(command) }
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            usleep(10_000)
            guard let journal = try EnvironmentJournal.pending(home: writer.home),
                journal.process == helper.process, let thread = journal.thread
            else { continue }
            let dead = Dead(process: helper.process, thread: thread)
            guard try statuses(writer, dead).contains(.waiting) else { continue }
            try kill9(helper)
            return dead
        }
        throw VarveError(.invalid, "the helper never waited for a lock")
    }

    private static let capture: [CaptureCommand] = [
        .preflight, .begin, .capture(file: "btree1.db", resume: false),
    ]

    /// The control: until it is freed, whoever wants to write the page, or to open anything, waits.
    @Test(arguments: Object.allCases) func aGrantedLockIsFreed(_ object: Object) throws {
        let directory = try TemporaryHome("lock")
        let writer = try Writer(directory, Self.options)
        let holder = try hold(object, writer, directory, seconds: 3)
        let dead = try killedWaiting(writer, Self.capture)
        #expect(try holder.finish().status == .exited(0))
        // The application may have asked for it before the helper did.
        let deadline = ContinuousClock.now + .seconds(5)
        while try !statuses(writer, dead).contains(.pending) {
            try #require(ContinuousClock.now < deadline, "it was not granted")
            usleep(10_000)
        }
        let next = try Program.workload(
            ["hold", "--home", writer.home, "--seconds", "0"] + object.arguments)
        #expect(try next.finish(within: 5) == nil, "the control: this transaction must hang")

        let report = try undo(writer)
        #expect(report.helper == dead.process)
        #expect(report.repair.freedLocks == object.locks)
        #expect(report.repair.remainingLocks == 0)
        #expect(report.lines[0].contains("lock"), "\(report.lines)")
        let finished = try #require(try next.finish(within: 15), "it still hangs")
        #expect(finished.status == .exited(0), "\(finished.output)")
        #expect(try lockers(writer, dead).isEmpty)
        try expectUntouched(writer)
        try expectBackup(writer, directory)
        #expect(try writer.stop().status == .exited(0))
    }

    /// The transaction goes on, and the helper that undoes it waits for its end like any other.
    @Test(arguments: Object.allCases) func aWaitIsEnded(_ object: Object) throws {
        let directory = try TemporaryHome("wait")
        let writer = try Writer(directory, Self.options)
        let holder = try hold(object, writer, directory, seconds: 5)
        let dead = try killedWaiting(writer, Self.capture)
        #expect(try statuses(writer, dead).contains(.waiting))
        #expect(ProcessTable.startTime(of: holder.child.process) != nil)
        let report = try undo(writer)
        #expect(report.repair.freedLocks == object.locks)
        #expect(report.repair.remainingLocks == 0)
        #expect(try lockers(writer, dead).isEmpty)
        #expect(try holder.finish().status == .exited(0))
        try expectUntouched(writer)
        try expectBackup(writer, directory)
        #expect(try writer.stop().status == .exited(0))
    }

    /// Having freed what the first left, the second waits for the same lock.
    @Test(arguments: Object.allCases) func itsOwnRepairerMayBeKilled(_ object: Object) throws {
        let directory = try TemporaryHome("repairer")
        let writer = try Writer(directory, Self.options)
        let holder = try hold(object, writer, directory, seconds: 6)
        let first = try killedWaiting(writer, Self.capture)
        let second = try killedWaiting(writer, [.repair])
        #expect(try lockers(writer, first).isEmpty)
        #expect(try holder.finish().status == .exited(0))
        let report = try undo(writer)
        #expect(report.helper == second.process)
        #expect(report.repair.freedLocks == object.locks)
        #expect(report.repair.loweredCounter && report.repair.restoredAutoRemove)
        try expectUntouched(writer)
        #expect(try writer.stop().status == .exited(0))
    }

    /// It had the handle of the file that it read. Who wants to remove or rename that file would wait.
    @Test func whatItHeldIsFreed() throws {
        let directory = try TemporaryHome("held")
        let writer = try Writer(directory, Self.options)
        var dead = Dead(process: 0, thread: 0)
        do {
            let lock = try EnvironmentLock(home: writer.home)
            let helper = try HelperProcess(
                executable: try program("varve-capture-bdb"), password: nil, lock: lock, slots: 2)
            try helper.send(.join(CaptureEnvironment(home: writer.home)))
            for command in Self.capture { try helper.send(command) }
            while true { if case .filled = try helper.nextEvent() { break } }
            let journal = try #require(try EnvironmentJournal.pending(home: writer.home))
            dead = Dead(process: helper.process, thread: try #require(journal.thread))
            try kill9(helper)
        }
        #expect(try statuses(writer, dead) == [.held])
        let report = try undo(writer)
        #expect(report.repair.freedLocks == 1)
        #expect(try lockers(writer, dead).isEmpty)
        try expectUntouched(writer)
        #expect(try writer.stop().status == .exited(0))
    }

    /// Of another thread, in another container for instance, that has the same process number.
    @Test func anotherThreadsLocksStay() throws {
        let directory = try TemporaryHome("other")
        let writer = try Writer(directory, Self.options)
        let holder = try hold(.firstPage, writer, directory, seconds: 2)
        let dead = try killedWaiting(writer, Self.capture)
        #expect(try holder.finish().status == .exited(0))
        var journal = try #require(try EnvironmentJournal.pending(home: writer.home))
        journal.thread = dead.thread + 1
        try Publication.replace(Path.join(writer.home, ".varve/journal"), with: journal.encoded)
        let next = try Program.workload(
            ["hold", "--home", writer.home, "--database", "btree1.db", "--seconds", "0"])
        #expect(try next.finish(within: 3) == nil)
        expect(.helperStuck) {
            try undo(writer, HelperLimits(undoing: .seconds(2), working: .seconds(2)))
        }
        #expect(try statuses(writer, dead) == [.held, .pending])
        try next.child.send(signal: SIGKILL)
        _ = try next.finish()
        try recover(writer)
    }
}
