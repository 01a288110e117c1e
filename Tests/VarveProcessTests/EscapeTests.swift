import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Names that climb out of the home lead from a copy beside it to the live files: a restore elsewhere is told other
    /// ones, and its recovery reaches nothing but the restored files.
    @Suite struct EscapeTests {
        private static let small = "--records 300 --rate 500"

        @Test func aDataDirectoryThatClimbs() throws {
            let environment = try LiveEnvironment(
                .init("climbing directory", "btree,hash", place: "--data-dir ../outside", options: Self.small)
            )
            let live = environment.directory["outside"]
            #expect(try Directory.list(live).contains("btree1.db"))
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            let before = try Fingerprint(live)
            // A copy beside the home: from there the old name leads to the live files.
            let copy = try environment.restore(backup.snapshot)
            #expect(try Path.resolve(Path.join(copy, "../outside")) == Path.resolve(live))
            #expect(try Text.read(Path.join(copy, "DB_CONFIG")).contains("set_data_dir external/0-outside"))
            #expect(
                try Text.read(Path.join(copy, "DB_CONFIG.before-restore")).contains("set_data_dir ../outside")
            )
            _ = try environment.workload.check(copy)
            // The logs have that name too, of the directory that files were made in: the vendor's recovery would make
            // them there again, and is not what is printed.
            let target = environment.directory["plain"]
            let plain = try environment.varve.run(["restore", backup.snapshot, "--target", target]).require(0)
            #expect(plain.errors.contains("db5.3_recover alone is not enough"), "\(plain)")
            #expect(try Fingerprint(live) == before)
        }

        /// The control: a directory within the home stays what it is.
        @Test func aDataDirectoryWithinTheHome() throws {
            let environment = try LiveEnvironment(
                .init("directory within", "btree,hash", place: "--data-dir data", options: Self.small))
            let backup = try environment.goodBackup()
            try environment.workload.stop()
            let copy = try environment.restore(backup.snapshot)
            _ = try environment.workload.check(copy)
            #expect(try FileStatus.of(Path.join(copy, "DB_CONFIG.before-restore")) == nil)
            // And the command that is printed recovers it.
            let target = environment.directory["plain"]
            let plain = try environment.varve.run(["restore", backup.snapshot, "--target", target]).require(0)
            #expect(
                plain.errors.contains("next: recover it, with 'db5.3_recover -c -h \(target)'"), "\(plain)")
            try run("db5.3_recover", ["-c", "-h", target]).require(0)
            _ = try environment.workload.check(target)
        }

        /// Nobody but the log knows of the file: the application opened it by such a name. It is in no snapshot, and
        /// recovery, which could make it from the logs, must not do so beside the copy.
        @Test func aNameInTheLogThatClimbs() throws {
            let environment = try LiveEnvironment(.init("climbing name", "btree,hash", options: Self.small))
            let before = try environment.goodBackup()
            let records = environment.directory["records"]
            try Text.write("key\nvalue\n", to: records)
            try run(
                "db5.3_load",
                ["-T", "-t", "btree", "-f", records, "-h", environment.home, "../outside.db"]
            ).require(0)
            let outside = environment.directory["outside.db"]
            #expect(try FileStatus.of(outside) != nil)
            let after = try environment.backup()
            try environment.workload.stop()
            try Directory.removeFile(outside)
            if after.code == 0 || after.code == 3 {
                let snapshot = try after.decode(BackupOutput.self).snapshot
                let restored = try environment.varve.run([
                    "restore", snapshot, "--target", environment.directory["after"], "--recover",
                ])
                #expect(restored.code == 1 && restored.errors.contains("outside.db"), "\(restored)")
                #expect(restored.errors.contains("no directory of the snapshot"), "\(restored)")
            }
            #expect(try FileStatus.of(outside) == nil)
            _ = try environment.workload.check(environment.restore(before.snapshot))
        }
    }
}

/// Names, sizes, owners, modes and times of all that is beneath a directory, and what is in it.
struct Fingerprint: Equatable {
    private let lines: [String]

    init(_ directory: String) throws {
        let listed = try run("find", [directory, "-printf", "%P %y %s %U %G %m %T@\\n"]).require(0).output
        let sums = try run("sh", ["-c", "find \"$1\" -type f -print0 | xargs -0r cksum", "sh", directory])
            .require(0)
        lines = (listed + sums.output).split(separator: "\n").map(String.init).sorted()
    }
}
