import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Regions that are not files of this build's libdb.
    @Suite struct ForeignRegionTests {
        private func unpack(_ name: String, _ directory: TemporaryDirectory) throws -> String {
            let fixtures = Path.parent(Path.parent(Path.parent(#filePath)))
            let archive = Path.join(fixtures, "Fixtures/bdb/foreign/\(name).tar.zst")
            try run("tar", ["--zstd", "-xf", archive, "-C", directory.path]).require(0)
            return directory[name]
        }

        @Test func aClosedEnvironmentOf32BitsIsTaken() throws {
            let directory = try TemporaryDirectory()
            let home = try unpack("closed-i386", directory)
            let varve = try VarveCommand.initialized(directory["repository"])
            let backup = try varve.run(["backup", "--json", "--offline", "--bdb", home]).require(0).decode(
                BackupOutput.self)
            #expect(!backup.tainted && backup.warnings.isEmpty)
            let target = directory["restored"]
            try varve.run(["restore", backup.snapshot, "--target", target, "--recover"]).require(0)
            let dump = try run("db5.3_dump", ["-p", Path.join(target, "a.db")]).require(0).output
            #expect(dump.contains(" k003000\n v3000\n"))

            // Live, it is told for what it is.
            let refused = try varve.run(["backup", "--bdb", home]).require(1)
            #expect(
                refused.errors.contains("regions were made by Berkeley DB 5.3.28 in 32 bits"), "\(refused)")
            // The control: its own count of handles is read where such a build has it.
            let region = try File.open(updating: Path.join(home, "__db.001"))
            try [UInt8(3)].withUnsafeBytes { try region.write($0, at: 40) }
            try region.close()
            let open = try varve.run(["backup", "--offline", "--bdb", home]).require(1)
            #expect(open.errors.contains("its regions count 3 open handles"), "\(open)")
        }

        @Test func anOlderReleaseIsTold() throws {
            let directory = try TemporaryDirectory()
            let home = try unpack("closed-4.8", directory)
            let varve = try VarveCommand.initialized(directory["repository"])
            let closed = try varve.run(["backup", "--offline", "--bdb", home]).require(1)
            #expect(closed.errors.contains("log version 16 "), "\(closed)")
            #expect(!closed.errors.contains("open handles"), "\(closed)")
            let live = try varve.run(["backup", "--bdb", home]).require(1)
            #expect(live.errors.contains("regions were made by Berkeley DB 4.8.30"), "\(live)")
            #expect(live.errors.contains("hint: stop its applications and use --offline"), "\(live)")
        }

        @Test func regionsInSystemVMemoryAreJoined() throws {
            let key = Int32.random(in: 1_000_000...100_000_000)
            let segments = Segments(key)
            defer { segments.remove() }
            let application = try RestingApplication(1000, ["--system-memory", "\(key)"])
            #expect(try FileStatus.of(Path.join(application.home, "__db.001"))?.size == 24)
            let offline = try application.backup(["--offline"]).require(1)
            #expect(offline.errors.contains("the environment is in use"), "\(offline)")
            let backup = try application.backup().require(0).decode(BackupOutput.self)
            #expect(!backup.tainted)
            let keys = try application.restoredKeys(backup.snapshot)
            #expect(keys == Array(0..<keys.count) && keys.count > 500)

            try application.running.killGroup()
            let dead = try application.backup().require(1)
            #expect(dead.errors.contains("its regions count 1 open handles, but no process"), "\(dead)")
            segments.remove()
            let gone = try application.backup().require(1)
            #expect(gone.errors.contains("which is not here any more"), "\(gone)")
            let unclean = try application.backup(["--offline"]).require(1)
            #expect(unclean.errors.contains("needs recovery"), "\(unclean)")
        }

        @Test func closedOnesInSystemVMemoryAreTaken() throws {
            let key = Int32.random(in: 1_000_000...100_000_000)
            let segments = Segments(key)
            defer { segments.remove() }
            let application = try RestingApplication(1000, ["--system-memory", "\(key)"])
            try application.running.terminate().require(0)
            let backup = try application.backup(["--offline"]).require(0).decode(BackupOutput.self)
            #expect(try application.restoredKeys(backup.snapshot).count == 1000)
        }

        /// Whoever may write the environment's directory must not have root read anybody's memory.
        @Test(.needsRoot("to be another user")) func anotherUsersMemoryIsNotRead() throws {
            let key = Int32.random(in: 1_000_000...100_000_000)
            let segments = Segments(key)
            defer { segments.remove() }
            let application = try RestingApplication(100, ["--system-memory", "\(key)"])
            let path = Path.join(application.home, "__db.001")
            try systemCall("chown", path) { chown(path, 65534, 65534) }
            let refused = try application.backup(["--offline"]).require(1)
            #expect(refused.errors.contains("belongs to user 0 and not to user 65534"), "\(refused)")
            try application.running.killGroup()
        }

        /// The segments of an environment: one for each region, with keys one after another (`os_map.c`).
        private struct Segments {
            let key: Int32
            init(_ key: Int32) { self.key = key }

            func remove() {
                for offset in Int32(0)..<8 {
                    let segment = shmget(key + offset, 0, 0)
                    if segment >= 0 { shmctl(segment, IPC_RMID, nil) }
                }
            }
        }
    }
}
