import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Names that climb out of the home lead from a copy beside it to the live files: recovery of the copy would write
    /// to them.
    @Suite struct EscapeTests {
        private static let small = "--records 300 --rate 500"

        private func requireRefused(_ environment: LiveEnvironment, _ snapshot: String, _ name: String) throws
        {
            let target = environment.directory["refused"]
            for further in [[], ["--recover"], ["--dry-run"]] {
                let refused = try environment.varve.run(["restore", snapshot, "--target", target] + further)
                #expect(refused.code == 1, "\(refused)")
                #expect(refused.errors.contains("could write to live files: it names"), "\(refused)")
                #expect(refused.errors.contains(" \(name)"), "\(refused)")
                #expect(refused.errors.contains("--allow-absolute"), "\(refused)")
                #expect(try FileStatus.of(target) == nil)
            }
            let allowed = environment.directory["allowed"]
            try environment.varve.run(["restore", snapshot, "--target", allowed, "--allow-absolute"]).require(
                0)
            #expect(try FileStatus.of(Path.join(allowed, "log.0000000001")) != nil)
        }

        @Test func aDataDirectoryThatClimbs() throws {
            let environment = try LiveEnvironment(
                .init("climbing directory", "btree,hash", place: "--data-dir ../outside", options: Self.small)
            )
            let live = environment.directory["outside"]
            #expect(try Directory.list(live).contains("btree1.db"))
            let backup = try environment.goodBackup()
            try requireRefused(environment, backup.snapshot, "../outside")
            // What it is about: the copy's own DB_CONFIG leads to the live files.
            let copy = environment.directory["allowed"]
            #expect(try Text.read(Path.join(copy, "DB_CONFIG")).contains("set_data_dir ../outside"))
            #expect(try Path.resolve(Path.join(copy, "../outside")) == Path.resolve(live))
            try environment.workload.stop()
        }

        /// The control: a directory within the home is no reason.
        @Test func aDataDirectoryWithinTheHome() throws {
            let environment = try LiveEnvironment(
                .init("directory within", "btree,hash", place: "--data-dir data", options: Self.small))
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            _ = try environment.workload.check(environment.restore(backup.snapshot))
        }

        /// Nobody but the log knows of the file: the application opened it by such a name.
        @Test func aNameInTheLogThatClimbs() throws {
            let environment = try LiveEnvironment(.init("climbing name", "btree,hash", options: Self.small))
            let before = try environment.goodBackup()
            let records = environment.directory["records"]
            try Text.write("key\nvalue\n", to: records)
            try run(
                "db5.3_load",
                ["-T", "-t", "btree", "-f", records, "-h", environment.home, "../outside.db"]
            ).require(0)
            #expect(try FileStatus.of(environment.directory["outside.db"]) != nil)
            let after = try environment.goodBackup()
            try environment.workload.stop()
            try requireRefused(environment, after.snapshot, "../outside.db")
            _ = try environment.workload.check(environment.restore(before.snapshot))
        }
    }
}
