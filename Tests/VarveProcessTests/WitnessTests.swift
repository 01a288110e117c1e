import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Databases that a listing of the home does not show.
    @Suite struct WitnessTests {
        /// `bdb-workload write` on one database, and a repository beside the home.
        final class Writer {
            let directory: TemporaryDirectory
            let home: String
            let varve: VarveCommand
            let running: RunningProcess

            /// - Parameter database: of the directory, its name.
            init(_ database: (TemporaryDirectory) -> String, _ options: [String] = []) throws {
                directory = try TemporaryDirectory()
                home = directory["environment"]
                varve = try .initialized(directory["repository"])
                let ready = directory["ready"]
                let running = try RunningProcess(
                    Executable.workload,
                    [
                        "write", "--home", home, "--database", database(directory), "--ready", ready,
                        "--seconds",
                        "120", "--rate", "100",
                    ] + options)
                self.running = running
                try waitUntil("the first transactions of \(running.command)", seconds: 60) {
                    guard running.isRunning else {
                        throw ProcessFailure("it ended: \(try running.wait(seconds: 1))")
                    }
                    return access(ready, F_OK) == 0
                }
            }

            func backup(_ arguments: [String] = []) throws -> Finished {
                try varve.run(["backup", "--json", "--bdb", home] + arguments)
            }
        }

        private func missing(_ finished: Finished) throws -> Set<String?> {
            let codes = ["database-missing", "database-unlinked"]
            return Set(
                try finished.require(3).decode(BackupOutput.self).warnings
                    .filter { codes.contains($0.code) && $0.taints }.map(\.path))
        }

        /// As with Cyrus and with Berkeley DB's SQL interface.
        @Test(arguments: ["absolute", "relative"])
        func aDatabaseBesideTheHomeIsFound(_ kind: String) throws {
            let writer = try Writer { directory in
                mkdir(directory["beside"], 0o755)
                return kind == "absolute" ? directory["beside/out.db"] : "../out.db"
            }
            let place = kind == "absolute" ? writer.directory["beside"] : writer.directory.path
            let refused = try writer.backup().require(1)
            #expect(refused.errors.contains("--data-dir \(try Path.resolve(place))"), "\(refused)")
            #expect(refused.errors.contains("out.db"), "\(refused)")
            #expect(try writer.varve.snapshots().isEmpty)
            // The control: what the hint says helps.
            let good = try writer.backup(["--data-dir", place]).require(0).decode(BackupOutput.self)
            #expect(good.warnings.allSatisfy { !$0.taints })
            try writer.running.terminate().require(0)
        }

        /// The application goes on, and every transaction commits; the file is gone.
        @Test(arguments: ["deleted", "truncated", "replaced"])
        func aFileThatIsTakenAwayIsNamed(_ kind: String) throws {
            let writer = try Writer { _ in "live.db" }
            // The control: nothing is missing before.
            #expect(try writer.backup().require(0).decode(BackupOutput.self).warnings.isEmpty)
            let path = Path.join(writer.home, "live.db")
            switch kind {
            case "deleted": try Directory.removeFile(path)
            case "truncated":
                try Text.write("", to: path + ".new"); try Directory.rename(path + ".new", to: path)
            default:
                // Made without an environment, so its pages have no LSNs.
                let dump = "VERSION=3\\nformat=print\\ntype=btree\\nHEADER=END\\n k\\n v\\nDATA=END\\n"
                let load = "printf '\(dump)' | db5.3_load '\(path).new'"
                try run("sh", ["-c", load], directory: "/").require(0)
                try Directory.rename(path + ".new", to: path)
            }
            #expect(try missing(writer.backup()) == ["live.db"])
            if kind == "deleted" { try restoreWithout(writer) }
            // Said again each time, also when libdb has written the cache's pages into the file that has the name now.
            #expect(try missing(writer.backup()) == ["live.db"])
            #expect(try missing(writer.backup()) == ["live.db"])
            try writer.running.terminate().require(0)
            // Once nobody has it open, whoever replaced it may have meant to.
            if kind != "replaced" { #expect(try missing(writer.backup(["--offline"])) == ["live.db"]) }
        }

        /// What the backup missed is no surprise: a person should look, and it is said what came of it. The logs go back to
        /// the creation here, so recovery makes it.
        private func restoreWithout(_ writer: Writer) throws {
            let snapshot = try #require(writer.varve.snapshots().last)
            let target = writer.directory["restored"]
            let output = try writer.varve.run(["restore", snapshot, "--target", target, "--recover"]).require(
                3
            ).output
            #expect(
                output.contains("recovered to") && output.contains("1 of 1 database files verified"),
                "\(output)")
            #expect(access(Path.join(target, "live.db"), F_OK) == 0)
        }

        /// A removal by a transaction is in the logs: nothing is missing.
        @Test func whatWasRemovedRightlyIsNotMissed() throws {
            let names = try NamesTests.Names(seed: 7, ["--rate", "100"])
            for _ in 0..<3 {
                let backup = try names.varve.run(["backup", "--json", "--bdb", names.home]).require(0)
                #expect(try backup.decode(BackupOutput.self).warnings.isEmpty)
            }
            try names.writer.terminate().require(0)
        }

        @Test(arguments: ["unlogged", "untransacted", "durable"])
        func changesThatAreNotLoggedAreNamed(_ method: String) throws {
            let writer = try Writer({ _ in "fast.db" }, ["--method", method, "--checkpoint-ms", "100"])
            let warnings = try (0..<3).map { _ in
                let finished = try writer.backup().require(0, 3)
                return try finished.decode(BackupOutput.self).warnings.filter { $0.code == "unlogged" }
            }
            if method == "durable" {
                #expect(warnings.allSatisfy { $0.isEmpty }, "the control: what is logged is not named")
            } else {
                #expect(warnings.allSatisfy { $0.map(\.path) == ["fast.db"] && $0[0].taints }, "\(warnings)")
            }
            try writer.running.terminate().require(0)
            // Nobody writes: whole, and nothing to say.
            let offline = try writer.backup(["--offline"]).require(0).decode(BackupOutput.self)
            #expect(offline.warnings.isEmpty)
        }

        /// The snapshot before has it, no transaction removed it, and the application is not even running.
        @Test func whatTheSnapshotBeforeHasIsMissed() throws {
            let writer = try Writer { _ in "live.db" }
            try writer.running.terminate().require(0)
            try writer.backup(["--offline"]).require(0)
            try Directory.removeFile(Path.join(writer.home, "live.db"))
            #expect(try missing(writer.backup(["--offline"])) == ["live.db"])
        }
    }
}
