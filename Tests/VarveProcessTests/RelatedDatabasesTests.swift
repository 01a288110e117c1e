import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension ProcessTests {
    /// What a database is compared with where its source has no earlier version of it.
    @Suite struct RelatedDatabasesTests {
        private let directory: TemporaryDirectory
        private let varve: VarveCommand

        init() throws {
            directory = try TemporaryDirectory()
            varve = try VarveCommand.initialized(directory["repository"])
        }

        private func workload(_ command: String, _ home: String, _ options: String...) throws {
            try run(Executable.workload, [command, "--home", home] + options).require(0)
        }

        private func backup(_ home: String) throws -> Manifest.Statistics {
            try varve.run(["backup", "--json", "--offline", "--bdb", home]).require(0).decode(
                BackupOutput.self
            )
            .statistics
        }

        /// Every extent of the database changed a little.
        private func requireDeltas(_ found: Manifest.Statistics, of home: String, _ name: String) throws {
            let size = try #require(try FileStatus.of(Path.join(home, name))).size
            #expect(found.deltaExtents > size / (256 << 10) / 2 && found.deltaBytes < size / 10, "\(found)")
        }

        /// A clone that went on by itself: stored as what it differs in, and it comes back as it is.
        @Test func aCloneUnderAnotherHome() throws {
            let (home, clone) = (directory["home"], directory["clone"])
            try workload("generate", home, "--records", "20000", "--value-size", "290")
            _ = try backup(home)
            try run("cp", ["-a", home, clone]).require(0)
            try workload("day", clone, "--update", "0.05", "--insert", "0.001", "--seed", "5")
            let second = try backup(clone)
            try requireDeltas(second, of: clone, "main.db")
            let target = directory["restored"]
            try varve.run(["restore", "2", "--target", target]).require(0)
            try run("cmp", [Path.join(clone, "main.db"), Path.join(target, "main.db")]).require(0)

            // The control: dumped and loaded it is another database, and nothing tells what to compare it with.
            let other = directory["other"]
            try run("cp", ["-a", clone, other]).require(0)
            try workload("reload", other)
            let third = try backup(other)
            #expect(third.deltaExtents == 0 && third.newExtents > 0)
        }

        /// A database that was renamed is the same one.
        @Test func aRenamedDatabase() throws {
            let home = directory["home"]
            try workload("generate", home, "--records", "20000", "--value-size", "290")
            _ = try backup(home)
            try workload("day", home, "--update", "0.05", "--insert", "0.001", "--seed", "5")
            // Not through libdb: its logs would not matter to what is tested here.
            try Directory.rename(Path.join(home, "main.db"), to: Path.join(home, "renamed.db"))
            try requireDeltas(try backup(home), of: home, "renamed.db")
        }
    }
}
