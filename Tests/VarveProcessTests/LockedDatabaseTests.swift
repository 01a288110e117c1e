import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// `dbbackup` would wait for these locks in libdb, where it can't be told to stop.
    @Suite struct LockedDatabaseTests {
        /// The control is the same environment, when the handle is closed.
        @Test func anExclusiveHandleIsNamedWithinSeconds() throws {
            let application = try RestingApplication(100, ["--exclusive"])
            let refused = try application.backup().require(1)
            #expect(refused.seconds < 30)
            #expect(
                refused.errors.contains(
                    "process \(application.process) (bdb-workload) has a.db open exclusively"),
                "\(refused)")
            #expect(refused.errors.contains("hint: back up when a.db is closed"), "\(refused)")
            #expect(try application.varve.snapshots().isEmpty)
            // It was not hurt: it can flush, checkpoint and close.
            try run("db5.3_checkpoint", ["-1", "-h", application.home]).require(0)
            try application.running.terminate().require(0)
            let backup = try application.backup(["--offline"]).require(0).decode(BackupOutput.self)
            #expect(try application.restoredKeys(backup.snapshot).count == 100)
        }

        /// A transaction ends, so it is waited for; longer than for a handle.
        @Test func aTransactionIsWaitedFor() throws {
            let environment = try LiveEnvironment(
                .init("locked", "btree,hash", options: "--records 300 --rate 100"))
            let ready = environment.directory["held"]
            let holder = try RunningProcess(
                Executable.workload,
                [
                    "hold", "--home", environment.home, "--database", "btree1.db", "--ready", ready,
                    "--seconds", "7",
                ])
            try waitUntil("the lock") { try FileStatus.of(ready) != nil }
            let began = Clock.monotonic()
            let backup = try environment.goodBackup()
            #expect(Double(Clock.monotonic() - began) / 1e9 > 5)
            try holder.wait(seconds: 30).require(0)
            let seq = try environment.workload.committed(at: #require(backup.recovery).restoresTo)
            try environment.workload.stop()
            #expect(try environment.workload.check(environment.restore(backup.snapshot)) >= seq)
        }
    }
}
