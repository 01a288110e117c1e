import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// Files that an offline backup does not read, on file systems that are cut off.
    @Suite struct UnreadFilesTests {
        private struct Statistics: Decodable {
            struct File: Decodable {
                var path: String
                var reading: String?
            }
            var files: [File]
        }

        private struct Times: Equatable {
            var (inode, size): (UInt64, UInt64)
            var (modified, changed): (Timestamp, Timestamp)

            init(_ path: String) throws {
                let status = try #require(try FileStatus.of(path))
                (inode, size) = (status.inode, status.size)
                (modified, changed) = (status.modified, status.changed)
            }
        }

        private func backup(_ varve: VarveCommand, _ home: String, _ arguments: [String] = []) throws
            -> String?
        {
            try varve.run(["backup", "--bdb", home, "--offline"] + arguments).require(0)
            let statistics = try varve.run(["stats", "--json"]).require(0).decode(Statistics.self)
            return try #require(statistics.files.first { $0.path == "main.db" }).reading
        }

        @Test(.needsDisk("ext4"), .needs("xfs_io"))
        func whatACrashKeptOnExt4IsReadAlthoughItLostTheTimes() throws { try readAfterACrash(.ext4) }

        @Test(.needsDisk("xfs"), .needs("xfs_io"))
        func whatACrashKeptOnXFSIsReadAlthoughItLostTheTimes() throws { try readAfterACrash(.xfs) }

        private func readAfterACrash(_ kind: LoopMount.Kind) throws {
            let directory = try TemporaryDirectory()
            let mounted = try LoopMount(kind, in: directory)
            defer { mounted.unmount() }
            let varve = try VarveCommand.initialized(directory["repository"])
            let home = Path.join(mounted.path, "home")
            try Directory.create(home)
            try run(Executable.workload, ["generate", "--home", home, "--records", "2000"]).require(0)
            let database = Path.join(home, "main.db")
            try run("sync", ["-f", home]).require(0)
            sleep(milliseconds: 2100)
            #expect(try backup(varve, home) == "new")
            #expect(try backup(varve, home) == "unchanged", "the control: without a cut it is not read")
            #expect(try backup(varve, home, ["--force"]) == "forced")
            let text = try varve.run(["stats"]).require(0).output
            #expect(text.contains("not read"), "\(text)")

            let before = try Times(database)
            try overwrite(database)
            #expect(try Times(database) != before)
            try mounted.cut()
            try mounted.mount().require(0)
            // The disk has the bytes and not the times: a comparison of the times alone would miss them.
            #expect(try Times(database) == before)
            #expect(try byteThere(database) == 0x5A)
            #expect(try backup(varve, home) == "remounted")
            let target = directory["restored"]
            try varve.run(["restore", "latest", "--target", target]).require(0)
            try run("cmp", [database, Path.join(target, "main.db")]).require(0)
        }

        private static let place: UInt64 = 3 * 4096 + 2000

        /// As libdb writes a page: `pwrite`, then `fdatasync`.
        private func overwrite(_ path: String) throws {
            let file = try File.open(updating: path)
            try [0x5A as UInt8].withUnsafeBytes { try file.write($0, at: Self.place) }
            let descriptor = file.descriptor
            try systemCall("fdatasync", path) { fdatasync(descriptor) }
            try file.close()
        }

        private func byteThere(_ path: String) throws -> UInt8 {
            let file = try File.open(reading: path)
            var byte: [UInt8] = [0]
            _ = try byte.withUnsafeMutableBytes { try file.read(into: $0, at: Self.place) }
            return byte[0]
        }
    }
}
