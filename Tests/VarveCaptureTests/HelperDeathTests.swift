import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

@testable import VarveCapture

/// The helper, its parent, or both are gone in the middle of a file: the application must not notice.
@Suite(.serialized)
struct HelperDeathTests {
    static let layout = ["--methods", "btree,hash", "--records", "60000"]
    static let options = layout + ["--auto-remove"]

    /// A helper in the middle of `file`: all its slots are full and nobody empties them.
    ///
    /// - Returns: while its callback waits, page writers of one megabyte held.
    private func helperInTheMiddle(
        of file: String, home: String, lock: EnvironmentLock?
    ) throws -> HelperProcess {
        let helper = try HelperProcess(
            executable: try program("varve-capture-bdb"), password: nil, lock: lock, slots: 2)
        try helper.send(.join(CaptureEnvironment(home: home)))
        try helper.send(.preflight)
        try helper.send(.begin)
        try helper.send(.capture(file: file, resume: false))
        var filled = 0
        while filled < 2 {
            let event = try helper.nextEvent()
            if case .filled = event { filled += 1 }
            if case .failed(let failure) = event { throw VarveError(.invalid, failure.message) }
        }
        return helper
    }

    /// One hangs as soon as it has to write a page of the range that is held: where none of it is changed yet, a later
    /// one.
    private func hangingCheckpoint(_ home: String) throws -> Program {
        for _ in 0..<10 {
            let checkpoint = try Program.workload(["checkpoint", "--home", home])
            guard let finished = try checkpoint.finish(within: 5) else { return checkpoint }
            print("a checkpoint ended: \(finished.status), \(finished.output)")
            usleep(200_000)
        }
        throw VarveError(.invalid, "the control: a checkpoint must hang")
    }

    /// The control: without clearing, a checkpoint really hangs. Then `unwedge` lets it go.
    @Test func bothAreKilledAndUnwedgeUndoesIt() throws {
        let directory = try TemporaryHome("both")
        let writer = try Writer(directory, Self.options)
        do {
            let lock = try EnvironmentLock(home: writer.home)
            try kill9(try helperInTheMiddle(of: "btree1.db", home: writer.home, lock: lock))
        }
        let left = try #require(try EnvironmentJournal.pending(home: writer.home))
        #expect(left.counter == .raised)
        #expect(left.restoreAutoRemove)
        #expect(left.file == "btree1.db")
        #expect(try writer.flags().contains("\"hot_backup\":true"))

        let checkpoint = try hangingCheckpoint(writer.home)

        // A new backup finds the journal and refuses to go on over it.
        let next = try BerkeleyDBHelper(
            CaptureEnvironment(home: writer.home), lock: nil, executable: try program("varve-capture-bdb"))
        try next.join()
        expect(.invalid) { try next.begin() }
        try next.close()

        let report = try unwedge(
            CaptureEnvironment(home: writer.home), executable: try program("varve-capture-bdb"))
        #expect(report.helper == left.process)
        #expect(report.repair.clearedFile == "btree1.db")
        #expect(report.repair.loweredCounter)
        #expect(report.repair.restoredAutoRemove)
        #expect(report.repair.remainingHotBackups == 0)
        let finished = try #require(try checkpoint.finish(within: 15), "it still hangs")
        #expect(finished.status == .exited(0), "\(finished.output)")
        try expectUntouched(writer)
        let again = try unwedge(
            CaptureEnvironment(home: writer.home), executable: try program("varve-capture-bdb"))
        #expect(again.helper == nil)
        #expect(!again.repair.journal)
        #expect(try writer.stop().status == .exited(0))
    }

    @Test func theHelperIsKilledAndItsClientClears() throws {
        let directory = try TemporaryHome("killed")
        let writer = try Writer(directory, Self.options)
        let lock = try EnvironmentLock(home: writer.home)
        for round in 0..<5 {
            let helper = try BerkeleyDBHelper(
                CaptureEnvironment(home: writer.home), lock: lock,
                executable: try program("varve-capture-bdb"), slots: 2)
            try helper.join()
            _ = try helper.preflight()
            _ = try helper.begin()
            var pieces = 0
            let error = expect(.helperDied) {
                try helper.capture("btree1.db") { piece in
                    guard case .bytes = piece else { return }
                    pieces += 1
                    if pieces == 2 + round { kill(helper.processIdentifier, SIGKILL) }
                }
            }
            #expect(error?.message.contains("was undone") == true)
            try expectUntouched(writer)
        }
        #expect(try writer.stop().status == .exited(0))
    }

    @Test func anOrphanCleansUp() throws {
        let directory = try TemporaryHome("orphan")
        let writer = try Writer(directory, Self.options)
        var orphan: Int32 = 0
        do {
            let lock = try EnvironmentLock(home: writer.home)
            let helper = try helperInTheMiddle(of: "btree1.db", home: writer.home, lock: lock)
            orphan = helper.process
            // Here the parent's ends of the pipes and of the lock are closed, as if it had died.
        }
        // A parent that died is one that is not in the process table.
        let path = Path.join(writer.home, ".varve/lock")
        try Array("4194304 1 then".utf8).withUnsafeBytes { bytes in
            let file = try File.open(updating: path)
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
        }
        // Waits for the orphan, which holds the lock too.
        let lock = try EnvironmentLock(home: writer.home, patience: .seconds(10))
        #expect(ProcessTable.startTime(of: orphan) == nil)
        try expectUntouched(writer)
        withExtendedLifetime(lock) {}
        #expect(try writer.stop().status == .exited(0))
    }

    @Test func signalsOfTheTerminalDoNotStopTheHelper() throws {
        let directory = try TemporaryHome("signals")
        let writer = try Writer(directory, Self.options)
        do {
            let helper = try helperInTheMiddle(of: "btree1.db", home: writer.home, lock: nil)
            for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { try helper.kill(signal) }
            usleep(100_000)
            #expect(ProcessTable.startTime(of: helper.process) != nil)
            // A captured event comes, then the helper is done with this file.
            var outcome: CaptureOutcome?
            while outcome == nil { if case .captured(let value) = try helper.nextEvent() { outcome = value } }
            guard case .interrupted? = outcome else {
                Issue.record("\(String(describing: outcome)), not an interruption")
                return
            }
            try helper.send(.end)
            while true { if case .ended = try helper.nextEvent() { break } }
            try helper.send(.quit)
            #expect(try helper.wait() == .exited(0))
        }
        try expectUntouched(writer)
        _ = try writer.stop()
    }

    /// The journal of regions that are gone must change nothing in the new ones.
    @Test func aJournalOfOtherRegionsIsDropped() throws {
        let directory = try TemporaryHome("regions")
        let writer = try Writer(directory, Self.options)
        do {
            let lock = try EnvironmentLock(home: writer.home)
            try kill9(try helperInTheMiddle(of: "btree1.db", home: writer.home, lock: lock))
        }
        let journal = Path.join(writer.home, ".varve/journal")
        var content = try #require(try EnvironmentJournal.pending(home: writer.home))
        let undone = try unwedge(
            CaptureEnvironment(home: writer.home), executable: try program("varve-capture-bdb"))
        #expect(undone.repair.loweredCounter)
        content.region.envid ^= 1
        try Publication.replace(journal, with: content.encoded)

        // Somebody else's hot backup is under way: its count must stay.
        let other = try BerkeleyDBHelper(
            CaptureEnvironment(home: writer.home), lock: nil, executable: try program("varve-capture-bdb"))
        try other.join()
        expect(.invalid) { try other.begin() }
        let report = try unwedge(
            CaptureEnvironment(home: writer.home), executable: try program("varve-capture-bdb"))
        #expect(report.repair.regionsReplaced)
        #expect(!report.repair.loweredCounter)
        #expect(try FileStatus.of(journal) == nil)
        try other.close()
        try expectUntouched(writer)
        _ = try writer.stop()
    }

    @Test func aSecondBackupIsRefusedByName() throws {
        let directory = try TemporaryHome("second")
        let home = directory["home"]
        try Directory.create(home)
        let lock = try EnvironmentLock(home: home)
        let error = expect(.locked) { try EnvironmentLock(home: home) }
        #expect(error?.message.contains("process \(getpid()) since") == true)
        withExtendedLifetime(lock) {}
    }
}
