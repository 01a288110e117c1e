import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension FaultTests {
    /// What can't be backed up: each with its words, and nothing stored, nothing left.
    @Suite(.serialized)
    final class RefusalTests {
        let directory: TemporaryDirectory
        let command: VarveCommand
        static let small = ["--records", "300", "--cache", "1048576"]

        init() throws {
            directory = try TemporaryDirectory()
            command = try VarveCommand.initialized(directory["repository"])
        }

        private func writer(_ options: [String], layout: [String] = []) throws -> Workload {
            try Workload(
                home: directory["home"], layout: layout, options: Self.small + options, notes: directory.path,
                seconds: 120)
        }

        /// Runs a backup that must be refused.
        private func refused(
            _ arguments: [String], home: String? = nil, code: Int32 = 1, _ message: String, hint: String,
            _ location: SourceLocation = #_sourceLocation
        ) throws {
            let home = home ?? directory["home"]
            let before = try Stored(command.repository).objects
            let finished = try command.run(["backup", "--bdb", home] + arguments, seconds: 30)
            #expect(finished.code == code, "\(finished)", sourceLocation: location)
            #expect(finished.errors.contains(message), "\(finished)", sourceLocation: location)
            let hints = finished.errors.split(separator: "\n").filter { $0.hasPrefix("hint: ") }
            #expect(hints.contains { $0.contains(hint) }, "\(finished)", sourceLocation: location)
            let after = try Stored(command.repository)
            #expect(after.objects == before && after.temporary == 0, sourceLocation: location)
            let own = Path.join(home, ".varve")
            let left = access(own, F_OK) == 0 ? try Directory.list(own).filter { $0 != "lock" } : []
            #expect(left == [], sourceLocation: location)
        }

        @Test func noEnvironment() throws {
            try refused([], "the directory does not exist", hint: "name the environment's home")
            try Directory.create(directory["home"])
            try refused([], "the directory is empty", hint: "mount it")
            #expect(try Directory.list(directory["home"]) == [])
            try Text.write("no database", to: Path.join(directory["home"], "notes"))
            try refused([], "no database, log or region file", hint: "name the environment's home")
            #expect(try Directory.list(directory["home"]) == ["notes"])
        }

        @Test func nobodyHasItOpen() throws {
            let writer = try writer(["--remove-regions"])
            try writer.stop()
            try refused([], "nobody has the environment open", hint: "use --offline")
        }

        @Test(.needsRoot("to see every process")) func killedWriter() throws {
            let writer = try writer([])
            try writer.running.killGroup()
            try refused([], "needs recovery", hint: "recover")
            try refused(["--offline"], "needs recovery", hint: "db5.3_recover")
        }

        @Test func killedRegisteredWriter() throws {
            let writer = try writer(["--register"])
            try writer.running.killGroup()
            try refused([], "ended without closing it", hint: "recovery")
            try refused(["--offline"], "ended without closing it", hint: "db5.3_recover")
        }

        @Test func panicked() throws {
            let writer = try writer([])
            try writer.stop()
            // `REGENV.panic`, behind the magic.
            let region = try File.open(updating: Path.join(directory["home"], "__db.001"))
            try [UInt8](arrayLiteral: 1, 0, 0, 0).withUnsafeBytes { try region.write($0, at: 4) }
            try refused([], "panicked", hint: "recover")
            try refused(["--offline"], "panicked", hint: "recover")
        }

        @Test func privateRegions() throws {
            let writer = try writer(["--private"])
            try refused([], "private to process \(writer.running.process)", hint: "DB_PRIVATE")
            try refused(["--offline"], "in use", hint: "stop the application")
            try writer.stop()
        }

        @Test func logsInMemory() throws {
            let writer = try writer(["--in-memory-logs"])
            try refused([], "keeps its logs in memory", hint: "logs in files")
            try writer.stop()
        }

        @Test func notTransactional() throws {
            let writer = try writer(["--no-txn"])
            try refused([], "no transactions", hint: "stop the application")
            try writer.stop()
        }

        /// Going on would panic the application.
        @Test func wrongLogDirectory() throws {
            let writer = try writer(
                ["--checkpoint-ms", "200"], layout: ["--log-dir", "logs", "--dirs-in-code"])
            try refused([], "is not there", hint: "--log-dir")
            try Directory.create(Path.join(directory["home"], "other"))
            try refused(["--log-dir", "other"], "is not there", hint: "--log-dir")
            let committed = try writer.committed()
            try waitUntil("the writer to go on", seconds: 10) { try writer.committed() > committed + 100 }
            try command.run(["backup", "--bdb", directory["home"], "--log-dir", "logs"]).require(0)
            try writer.stop()
        }

        @Test func gapInTheLogs() throws {
            let writer = try writer(
                ["--log-size", "262144", "--checkpoint-ms", "0", "--remove-regions", "--rate", "2000"])
            let home = directory["home"]
            try waitUntil("six log files", seconds: 60) {
                access(Path.join(home, "log.0000000006"), F_OK) == 0
            }
            let kept = directory["kept"]
            try Directory.rename(Path.join(home, "log.0000000003"), to: kept)
            try refused([], "log.0000000003 is missing", hint: "put it back")
            try Directory.rename(kept, to: Path.join(home, "log.0000000003"))
            try command.run(["backup", "--bdb", home]).require(0)
            try writer.stop()
        }

        @Test func twoFilesWithOneIdentity() throws {
            let writer = try writer([])
            let home = directory["home"]
            try run("cp", [Path.join(home, "btree1.db"), Path.join(home, "copy.db")]).require(0)
            try refused([], "the same uid", hint: "Move the copy out")
            try writer.stop()
        }

        @Test func passwords() throws {
            let (right, wrong) = (directory["right"], directory["wrong"])
            try Text.write("of the water\n", to: right)
            try Text.write("of the land\n", to: wrong)
            let home = directory["home"]
            let writer = try writer([], layout: ["--encrypt", right])
            try refused([], code: 12, "no password was given", hint: "--password-file")
            try refused(["--password-file", wrong], code: 12, "wrong password", hint: "--password")
            try command.run(["backup", "--bdb", home, "--password-file", right]).require(0)
            try command.run(["backup", "--bdb", home, "--password-command", "cat \(right)"]).require(0)
            // A pipe, as the shell's <(…) makes one.
            let pipe = try Pipe()
            try Array("of the water\n".utf8).withUnsafeBytes { try pipe.writing.write($0) }
            let running = try command.start(
                ["backup", "--bdb", home, "--password-fd", "9"], descriptors: [(pipe.reading.descriptor, 9)])
            try pipe.writing.close()
            try running.wait(seconds: 60).require(0)
            try writer.stop()
        }

        @Test func anotherBackup() throws {
            let writer = try writer(["--records", "30000"])
            let first = try command.start(["backup", "--bdb", directory["home"]])
            let journal = Path.join(directory["home"], ".varve/journal")
            try waitUntil("the first backup's journal", every: 200) {
                !first.isRunning || access(journal, F_OK) == 0
            }
            first.send(SIGSTOP)
            try #require(first.isRunning && access(journal, F_OK) == 0, "the first backup was too fast")
            let same = try command.run(["backup", "--bdb", directory["home"]])
            #expect(same.code == 11, "\(same)")
            #expect(same.errors.contains("another varve is writing"), "\(same)")
            let other = try VarveCommand.initialized(directory["other"])
            let second = try other.run(["backup", "--bdb", directory["home"]])
            #expect(second.code == 11, "\(second)")
            #expect(second.errors.contains("another backup of"), "\(second)")
            #expect(try Stored(other.repository).objects == [])
            let unwedge = try run(Executable.varve, ["unwedge", "--bdb", directory["home"]])
            #expect(unwedge.code == 11, "\(unwedge)")
            first.send(SIGCONT)
            try first.wait(seconds: 60).require(0)
            try writer.stop()
        }

        @Test(.needsNobody()) func notTheOwner() throws {
            let writer = try writer([])
            let open = try TemporaryDirectory()
            for path in [directory.path, open.path] { chmod(path, 0o755) }
            try Directory.create(open["own"])
            chown(open["own"], 65534, 65534)
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", Executable.varve]
            let mine = VarveCommand(repository: Path.join(open["own"], "repository"))
            try run("setpriv", nobody + ["init", "-r", mine.repository]).require(0)
            let finished = try run(
                "setpriv", nobody + ["backup", "-r", mine.repository, "--bdb", directory["home"]])
            #expect(finished.code == 1, "\(finished)")
            #expect(finished.errors.contains("belongs to user 0"), "\(finished)")
            #expect(finished.errors.contains("hint: run as its owner"), "\(finished)")
            #expect(try Stored(mine.repository).objects == [])
            #expect(access(Path.join(directory["home"], ".varve"), F_OK) != 0)
            try writer.stop()
        }

        /// Stored as it is, and said.
        @Test func damagedPage() throws {
            let writer = try writer(["--checksum", "--remove-regions"])
            try writer.stop()
            let home = directory["home"]
            let path = Path.join(home, "btree1.db")
            let file = try File.open(updating: path)
            var byte: [UInt8] = [0]
            _ = try byte.withUnsafeMutableBytes { try file.read(into: $0, at: 3 * 4096 + 2000) }
            byte[0] ^= 1
            try byte.withUnsafeBytes { try file.write($0, at: 3 * 4096 + 2000) }
            // Whoever has a file open is a user of the environment.
            try file.close()
            let backup = try command.run(["backup", "--bdb", home, "--offline", "--json"])
            #expect(backup.code == 3, "\(backup)")
            #expect(backup.errors.contains("page 3 of btree1.db is damaged at the source"), "\(backup)")
            #expect(try backup.decode(BackupOutput.self).tainted)
            #expect(try command.run(["snapshots"]).output.contains("TAINTED"))
            let target = directory["restored"]
            let restored = try command.run(["restore", "latest", "--target", target])
            #expect(restored.code == 3 || restored.code == 0, "\(restored)")
            try run("cmp", [path, Path.join(target, "btree1.db")]).require(0)
        }

        @Test func repositories() throws {
            let nowhere = VarveCommand(repository: directory["nowhere"])
            for arguments in [["snapshots"], ["verify"], ["backup", "--bdb", directory["home"]]] {
                let finished = try nowhere.run(arguments)
                #expect(finished.code == 10 && finished.errors.contains("no such directory"), "\(finished)")
            }
            #expect(access(nowhere.repository, F_OK) != 0)
            try Directory.create(nowhere.repository)
            let empty = try nowhere.run(["snapshots"])
            #expect(empty.code == 10 && empty.errors.contains("mount its disk"), "\(empty)")
            try Text.write("", to: Path.join(nowhere.repository, "notes"))
            let foreign = try nowhere.run(["snapshots"])
            #expect(foreign.code == 10 && foreign.errors.contains("no varve.json"), "\(foreign)")
            #expect(try Directory.list(nowhere.repository) == ["notes"])
            let other = try nowhere.run(["init"])
            #expect(other.code == 1 && other.errors.contains("not empty"), "\(other)")
            #expect(try run(Executable.varve, ["backup", "--frob"]).code == 64)
            #expect(
                try run(Executable.varve, ["snapshots"], environment: ["VARVE_REPOSITORY": ""]).code == 64)
        }
    }
}
