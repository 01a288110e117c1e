import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

import enum ProcessSupport.Machine

@testable import VarveCapture

/// The helper is killed while libdb, in it, waits for page writers and holds the mutex that they need. Where the
/// region files hold that mutex is told here by its bytes alone, not by the way that the helper goes to it.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct HelperMutexTests {
    /// A small cache, so that pages are written all the time; and time for many attempts on a slow machine.
    private static let options = HelperDeathTests.options + ["--cache", "2097152", "--seconds", "900"]

    /// `DB_MUTEX` of 5.3.28 with glibc's `pthread_rwlock_t`: where what is in it.
    private enum Layout {
        #if arch(x86_64)
            static let process = 88, kind = 112, flags = 132
        #else
            static let process = 96, kind = 120, flags = 140
        #endif
        static let owner = 24
    }

    private struct Held {
        var path: String
        var offset: Int

        func setProcess(_ process: Int32) throws { try set(Layout.process, process) }
        func setOwner(_ process: Int32) throws { try set(Layout.owner, process) }
        func setFlags(_ flags: Int32) throws { try set(Layout.flags, flags) }

        private func set(_ place: Int, _ value: Int32) throws {
            try withUnsafeBytes(of: value) {
                try File.open(updating: path).write($0, at: UInt64(offset + place))
            }
        }
    }

    /// A file's `mtx_write` that the process holds: kind 14; allocated, locked, shared.
    private func held(_ home: String, by process: Int32) throws -> [Held] {
        var found: [Held] = []
        for name in try Directory.list(home) where name.hasPrefix("__db.") && name.utf8.count == 8 {
            let path = Path.join(home, name)
            let bytes = try File.open(reading: path).readAll(limit: 1 << 28)
            bytes.withUnsafeBytes { bytes in
                func word(_ offset: Int) -> Int32 {
                    bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                }
                var offset = 0
                while offset + Layout.flags + 4 <= bytes.count {
                    if word(offset + Layout.owner) == process, word(offset + Layout.process) == process,
                        word(offset + Layout.kind) == 14, word(offset + Layout.flags) == 0x23
                    {
                        found.append(Held(path: path, offset: offset))
                    }
                    offset += 4
                }
            }
        }
        return found
    }

    /// In `select`, where libdb waits (os_yield.c): `pselect6` or, on x86-64, `select`. We ourselves wait in `poll`.
    private static func waitsForWriters(_ process: Int32) -> Bool {
        guard let file = try? File.open(reading: "/proc/\(process)/syscall"),
            let text = try? file.readToEnd(limit: 256)
        else { return false }
        let call = String(decoding: text.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        #if arch(x86_64)
            return call == "23" || call == "270"
        #else
            return call == "72"
        #endif
    }

    private func start(_ writer: Writer, _ lock: EnvironmentLock, _ commands: [CaptureCommand]) throws
        -> HelperProcess
    {
        let helper = try HelperProcess(
            executable: try program("varve-capture-bdb"), password: nil, lock: lock, slots: 64)
        try helper.send(.join(CaptureEnvironment(home: writer.home)))
        for command in commands { try helper.send(command) }
        return helper
    }

    /// Kills a helper that carries out the commands when it holds the mutex. Nil if it never waited for writers, or
    /// went on before the signal came.
    private func caught(_ writer: Writer, _ commands: [CaptureCommand]) throws -> (
        process: Int32, mutex: Held
    )? {
        let lock = try EnvironmentLock(home: writer.home)
        let helper = try start(writer, lock, commands)
        let deadline = ContinuousClock.now + .milliseconds(700)
        var isWaiting = false
        while !isWaiting && ContinuousClock.now < deadline {
            isWaiting = Self.waitsForWriters(helper.process)
        }
        try kill9(helper)
        guard isWaiting, let mutex = try held(writer.home, by: helper.process).first else { return nil }
        return (helper.process, mutex)
    }

    /// An environment as the defect left it: the mutex locked for a process that is dead, and its journal.
    private func wedge(_ writer: Writer) throws -> (process: Int32, mutex: Held) {
        for attempt in 1...100 {
            let capture: [CaptureCommand] = [.preflight, .begin, .capture(file: "btree1.db", resume: false)]
            if let caught = try caught(writer, capture) {
                print("caught by attempt \(attempt)")
                return caught
            }
            _ = try undo(writer)
        }
        throw VarveError(.invalid, "no helper could be killed while it held the mutex")
    }

    private func stuck(_ body: () throws -> Void) throws -> VarveError {
        let start = ContinuousClock.now
        let thrown = expect(.helperStuck) { try body() }
        #expect(ContinuousClock.now - start < .seconds(15))
        let error = try #require(thrown)
        #expect(error.message.contains("has not come back for 2 s"), "\(error)")
        #expect(error.hint?.contains("db5.3_recover") == true, "\(error)")
        return error
    }

    private static let quick = HelperLimits(undoing: .seconds(2), working: .seconds(2))

    /// The control: until it is freed, checkpoints hang, the writer's own too.
    @Test func unwedgeFreesIt() throws {
        let directory = try TemporaryHome("mutex")
        let writer = try Writer(directory, Self.options)
        let (process, _) = try wedge(writer)
        let checkpoint = try Program.workload(["checkpoint", "--home", writer.home])
        let before = try writer.checkpointTimes().ended.count
        #expect(try checkpoint.finish(within: 5) == nil, "the control: this checkpoint must hang")
        #expect(try writer.checkpointTimes().ended.count <= before + 1)

        let report = try undo(writer)
        #expect(report.helper == process)
        #expect(report.repair.freedMutexes == 1)
        #expect(report.repair.clearedFile == "btree1.db")
        #expect(report.lines[0].contains("a mutex freed"), "\(report.lines)")
        #expect(try held(writer.home, by: process).isEmpty)
        let finished = try #require(try checkpoint.finish(within: 15), "it still hangs")
        #expect(finished.status == .exited(0), "\(finished.output)")
        try expectUntouched(writer)
        try expectBackup(writer, directory)
        #expect(try writer.stop().status == .exited(0))
    }

    /// As glibc gives it to who waited for its readers and was killed: without an owner, and libdb knows nothing of it.
    @Test func whatItWasGrantedIsFreed() throws {
        let directory = try TemporaryHome("granted")
        let writer = try Writer(directory, Self.options)
        let (process, mutex) = try wedge(writer)
        try mutex.setFlags(0x21)
        try mutex.setOwner(0)
        let checkpoint = try Program.workload(["checkpoint", "--home", writer.home])
        #expect(try checkpoint.finish(within: 5) == nil, "the control: this checkpoint must hang")
        let report = try undo(writer)
        #expect(report.helper == process)
        #expect(report.repair.freedMutexes == 1)
        let finished = try #require(try checkpoint.finish(within: 15), "it still hangs")
        #expect(finished.status == .exited(0), "\(finished.output)")
        try expectUntouched(writer)
        #expect(try writer.stop().status == .exited(0))
    }

    @Test func theClientFreesIt() throws {
        let directory = try TemporaryHome("client")
        let writer = try Writer(directory, Self.options)
        for attempt in 1...100 {
            let lock = try EnvironmentLock(home: writer.home)
            let helper = try BerkeleyDBHelper(
                CaptureEnvironment(home: writer.home), lock: lock,
                executable: try program("varve-capture-bdb"), slots: 64)
            try helper.join()
            _ = try helper.preflight()
            _ = try helper.begin()
            let process = helper.processIdentifier
            let killer = try WorkerThread {
                let deadline = ContinuousClock.now + .milliseconds(700)
                while ContinuousClock.now < deadline {
                    if Self.waitsForWriters(process) { break }
                }
                kill(process, SIGKILL)
            }
            let thrown = expect(.helperDied) { () throws -> Void in
                while true { try helper.capture("btree1.db") { _ in } }
            }
            killer.join()
            let error = try #require(thrown)
            #expect(error.message.contains("was undone"), "\(error)")
            if error.message.contains("a mutex freed") {
                print("caught by attempt \(attempt)")
                try expectUntouched(writer)
                #expect(try writer.stop().status == .exited(0))
                return
            }
        }
        Issue.record("no helper was killed while it held the mutex")
    }

    /// The helper that repairs holds the mutex as well.
    @Test func itsOwnRepairerMayBeKilled() throws {
        let directory = try TemporaryHome("repairer")
        let writer = try Writer(directory, Self.options)
        for attempt in 1...30 {
            let (first, _) = try wedge(writer)
            if let (second, _) = try caught(writer, [.repair]) {
                print("caught by attempt \(attempt)")
                #expect(first != second)
                let report = try undo(writer)
                #expect(report.helper == second)
                #expect(report.repair.freedMutexes == 1)
                #expect(report.repair.loweredCounter)
                #expect(report.repair.restoredAutoRemove)
                try expectUntouched(writer)
                #expect(try writer.stop().status == .exited(0))
                return
            }
            _ = try undo(writer)
        }
        Issue.record("no helper was killed while it held the mutex")
    }

    /// What is not freed ends with words: `unwedge`, where glibc and libdb name two owners, and a backup, where the
    /// journal's process lives.
    @Test func whatIsNotFreedHasALimit() throws {
        let directory = try TemporaryHome("limit")
        let writer = try Writer(directory, Self.options)
        let (process, mutex) = try wedge(writer)
        try mutex.setProcess(process - 1)

        let error = try stuck { _ = try undo(writer, Self.quick) }
        #expect(error.message.contains("page writers of btree1.db"), "\(error)")
        // The helper is gone, and with it the lock; the journal is there.
        withExtendedLifetime(try EnvironmentLock(home: writer.home, patience: .zero)) {}
        var journal = try #require(try EnvironmentJournal.pending(home: writer.home))
        #expect(journal.file == "btree1.db")

        journal.process = getpid()
        try Publication.replace(Path.join(writer.home, ".varve/journal"), with: journal.encoded)
        try mutex.setProcess(getpid())
        try mutex.setOwner(getpid())
        let source = LiveSource(
            EnvironmentOptions(home: writer.home),
            helper: HelperOptions(executable: try program("varve-capture-bdb"), limits: Self.quick))
        let again = try stuck { _ = try source.capture(into: KeepingSink()) }
        #expect(again.message.contains("page writers of btree1.db"), "\(again)")
        #expect(try held(writer.home, by: getpid()).count == 1)

        // What the hint says helps; then nothing is left to undo.
        try recover(writer)
        let report = try undo(writer)
        #expect(report.helper != nil && report.repair.regionsReplaced)
        #expect(try FileStatus.of(Path.join(writer.home, ".varve/journal")) == nil)
    }

    /// The mutex is held by a process of which no journal tells, and the helper that waits for it is killed.
    @Test func whatTheClientCanNotUndoHasALimit() throws {
        let directory = try TemporaryHome("unknown")
        let writer = try Writer(directory, Self.options)
        let (_, mutex) = try wedge(writer)
        try mutex.setProcess(1)
        try Directory.removeFile(Path.join(writer.home, ".varve/journal"))
        do {
            let lock = try EnvironmentLock(home: writer.home)
            let limits = HelperLimits(undoing: .seconds(2), working: .seconds(60))
            let helper = try BerkeleyDBHelper(
                CaptureEnvironment(home: writer.home), lock: lock,
                executable: try program("varve-capture-bdb"), limits: limits)
            try helper.join()
            _ = try helper.begin()
            let process = helper.processIdentifier
            let killer = try WorkerThread {
                sleep(2)
                kill(process, SIGKILL)
            }
            let error = try stuck { try helper.capture("btree1.db") { _ in } }
            killer.join()
            #expect(error.message.contains("killed by signal 9; letting go"), "\(error)")
        }
        try recover(writer)
    }

    /// Reads take so long that clearing lasts longer than the limit, and what the helper says meanwhile keeps it alive.
    @Test(.needs("strace"))
    func clearingALargeFileIsNoSilence() throws {
        let directory = try TemporaryHome("slow")
        let writer = try Writer(directory, Self.options)
        let slow = directory["slow-helper"]
        let trace = "exec /usr/bin/strace -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=400000"
        try Publication.replace(
            slow, with: Array("#!/bin/sh\n\(trace) \(try program("varve-capture-bdb")) \"$@\"\n".utf8))
        try #require(chmod(slow, 0o755) == 0)
        let helper = try BerkeleyDBHelper(
            CaptureEnvironment(home: writer.home), lock: try EnvironmentLock(home: writer.home),
            executable: slow,
            limits: HelperLimits(undoing: .seconds(2), working: .seconds(60)))
        try helper.join()
        let start = ContinuousClock.now
        try helper.clear("btree1.db")
        #expect(ContinuousClock.now - start > .seconds(4), "the control: without them this is silence")
        try helper.close()
        #expect(try writer.stop().status == .exited(0))
    }

    @Test func aHelperThatIsStuckInACopyIsLeftBehind() throws {
        let directory = try TemporaryHome("behind")
        let writer = try Writer(directory, Self.options)
        var process: Int32 = 0
        do {
            let lock = try EnvironmentLock(home: writer.home)
            let helper = try BerkeleyDBHelper(
                CaptureEnvironment(home: writer.home), lock: lock,
                executable: try program("varve-capture-bdb"), slots: 2, limits: Self.quick)
            try helper.join()
            _ = try helper.begin()
            process = helper.processIdentifier
            // Stopped, it says as little as when libdb keeps it.
            let error = try stuck {
                try helper.capture("btree1.db") { piece in
                    if case .bytes = piece { kill(process, SIGSTOP) }
                }
            }
            #expect(error.message.contains("copying btree1.db"), "\(error)")
            #expect(error.message.contains("the helper (process \(process)) keeps running"), "\(error)")
            try helper.close()
        }
        #expect(ProcessTable.startTime(of: process) != nil)
        kill(process, SIGCONT)
        let deadline = ContinuousClock.now + .seconds(10)
        while ProcessTable.startTime(of: process) != nil && ContinuousClock.now < deadline { usleep(10_000) }
        #expect(ProcessTable.startTime(of: process) == nil)
        try expectUntouched(writer)
        #expect(try writer.stop().status == .exited(0))
    }
}
