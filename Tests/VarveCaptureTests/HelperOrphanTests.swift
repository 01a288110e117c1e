import Glibc
import Testing
import VarveFiles
import VarveFormat
import VarveHelperProtocol
import VarveTestSupport

import enum ProcessSupport.Machine

@testable import VarveCapture

/// A helper that waits in libdb for a lock of the application, while its parent and then the application die.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct HelperOrphanTests {
    private static let options = HelperDeathTests.options + ["--rate", "500", "--seconds", "900"]

    /// Everything that dies, and the one that stays.
    private final class Orphan {
        let directory: TemporaryHome
        let writer: Writer
        let holder: Program
        let process: Int32

        init() throws {
            directory = try TemporaryHome("orphan")
            writer = try Writer(directory, HelperOrphanTests.options)
            let ready = directory["held"]
            holder = try Program.workload([
                "hold", "--home", writer.home, "--database", "btree1.db", "--ready", ready, "--seconds",
                "300",
            ])
            try HelperOrphanTests.wait("the lock", 10) { try FileStatus.of(ready) != nil }
            process = try Self.leaveHelper(writer.home)
        }

        /// Its parent is gone, and its number in the lock is nobody's.
        private static func leaveHelper(_ home: String) throws -> Int32 {
            let lock = try EnvironmentLock(home: home)
            let helper = try HelperProcess(
                executable: try program("varve-capture-bdb"), password: nil, lock: lock, slots: 64)
            let file = Path.join(home, ".varve/lock")
            try Array("999999999 1 then\n".utf8).withUnsafeBytes { bytes in
                let opened = try File.open(updating: file)
                try opened.truncate(to: 0)
                try opened.write(bytes, at: 0)
            }
            try helper.send(.join(CaptureEnvironment(home: home)))
            for command in [CaptureCommand.preflight, .begin, .capture(file: "btree1.db", resume: false)] {
                try helper.send(command)
            }
            try HelperOrphanTests.wait("the helper's wait", 20) {
                guard let journal = try EnvironmentJournal.pending(home: home), journal.file == "btree1.db"
                else {
                    return false
                }
                return isWaiting(helper.process)
            }
            return helper.process
        }

        /// In the kernel, for a mutex or condition, for a while.
        private static func isWaiting(_ process: Int32) -> Bool {
            (0..<10).allSatisfy { _ in
                usleep(20_000)
                guard let file = try? File.open(reading: "/proc/\(process)/wchan"),
                    let bytes = try? file.readToEnd(limit: 100)
                else { return false }
                return String(decoding: bytes, as: UTF8.self).contains("futex")
            }
        }

        func killApplication() throws {
            try holder.child.send(signal: SIGKILL)
            _ = try holder.finish()
            try writer.kill()
        }

        var isThere: Bool { ProcessTable.startTime(of: process) != nil }

        deinit { if isThere { kill(process, SIGKILL) } }
    }

    private static func wait(_ what: String, _ seconds: Double, _ condition: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try !condition() {
            try #require(ContinuousClock.now < deadline, "not in \(seconds) s: \(what)")
            usleep(10_000)
        }
    }

    /// Recovered, the environment has other regions: nobody will ever give the helper what it waits for.
    @Test func whoseRegionsAreMadeAnewEndsItself() throws {
        let orphan = try Orphan()
        try orphan.killApplication()
        // The control: it does not go by itself while its regions are there.
        usleep(5_000_000)
        #expect(orphan.isThere)
        let recovery = try Program("/usr/bin/db5.3_recover", ["-e", "-h", orphan.writer.home])
        #expect(try recovery.finish().status == .exited(0))
        try Self.wait("the end of the helper", 15) { !orphan.isThere }
        // It leaves nothing that a next backup would stumble over.
        let next = try Writer(orphan.directory, ["--remove-regions"] + Self.options)
        let report = try undo(next)
        #expect(report.helper == orphan.process && report.repair.regionsReplaced)
        #expect(try next.stop().status == .exited(0))
    }

    /// Nobody has recovered it yet, and nobody is in it: the next run ends it.
    @Test(.needsRoot("to become another user")) func inAnEnvironmentWithoutAnybodyIsEndedByTheNextRun() throws
    {
        let orphan = try Orphan()
        try orphan.killApplication()
        let lock = try EnvironmentLock(home: orphan.writer.home, patience: .seconds(15))
        #expect(lock.endedHelper == orphan.process || !orphan.isThere)
        try Self.wait("the end of the helper", 5) { !orphan.isThere }
    }

    /// What it holds in regions that are alive would hang the application.
    @Test func whoseRegionsAreAliveIsLeftAlone() throws {
        let orphan = try Orphan()
        try orphan.holder.child.send(signal: SIGSTOP)
        expect(.locked) { try EnvironmentLock(home: orphan.writer.home, patience: .seconds(4)) }
        #expect(orphan.isThere)
        // It cleans up by itself when it can.
        try orphan.holder.child.send(signal: SIGKILL)
        try orphan.holder.child.send(signal: SIGCONT)
        _ = try orphan.holder.finish()
        #expect(orphan.isThere)
        try orphan.writer.kill()
    }
}
