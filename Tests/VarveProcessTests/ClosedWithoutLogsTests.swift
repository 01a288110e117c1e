import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// As a wallet is left: its pages name no log records any more, and the logs are removed.
    @Suite struct ClosedWithoutLogsTests {
        @Test func databasesThatNameNoLogsAreTaken() throws {
            let application = try RestingApplication(500)
            try application.running.terminate().require(0)
            for name in try Directory.list(application.home)
            where name.hasPrefix("__db.") || name.hasPrefix("log.") {
                try Directory.removeFile(Path.join(application.home, name))
            }
            // The control: its pages name log records still.
            let refused = try application.backup(["--offline"]).require(1)
            #expect(refused.errors.contains("there are no log files"), "\(refused)")
            #expect(refused.errors.contains("a page of a.db was logged at"), "\(refused)")
            #expect(try application.varve.snapshots().isEmpty)

            let file = Path.join(application.home, "a.db")
            try run("db5.3_load", ["-r", "lsn", file]).require(0)
            let finished = try application.backup(["--offline"]).require(0)
            let backup = try finished.decode(BackupOutput.self)
            #expect(!backup.tainted && backup.recovery == nil)
            #expect(backup.warnings.map(\.code) == ["no-logs"], "\(finished)")

            let target = application.directory["restored"]
            let restored = try application.varve.run([
                "restore", backup.snapshot, "--target", target, "--recover",
            ])
            try restored.require(0)
            try run("cmp", [file, Path.join(target, "a.db")]).require(0)
            #expect(try RestingApplication.keys(Path.join(target, "a.db")) == Array(0..<500))
            // Nothing was made that a recovery would have made.
            #expect(try Directory.list(target) == ["a.db"])
            let drill = try application.varve.run(["verify", "--drill"]).require(0)
            #expect(drill.output.contains("1 of 1"), "\(drill)")
        }
    }
}
