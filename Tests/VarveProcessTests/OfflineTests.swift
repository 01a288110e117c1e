import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// Without libdb: an environment that nobody has open, and one on XFS that somebody has.
    @Suite struct OfflineTests {
        @Test(
            arguments: [
                "plain", "1024, queues in extents", "encrypted queue, password command",
                "partitions, automatic log removal", "directories in DB_CONFIG", "directories in code",
                "several in one file, subdirectory, DB_REGISTER", "512, heap, checksums",
            ])
        func aClosedEnvironmentComesBackWhole(_ name: String) throws {
            let configuration = try #require(EnvironmentConfiguration.all.first { $0.name == name })
            let environment = try LiveEnvironment(configuration)
            try environment.workload.advance(1000)
            // While it is open it is refused, and nothing is stored.
            let refused = try environment.backup(["--offline"]).require(1)
            #expect(refused.errors.contains("in use"), "\(refused)")
            #expect(try environment.varve.snapshots().isEmpty)
            let last = try environment.workload.stop()

            let backup = try environment.backup(["--offline"]).require(0).decode(BackupOutput.self)
            #expect(!backup.tainted)
            let seq = try environment.workload.check(environment.restore(backup.snapshot))
            #expect(seq == last)
        }

        /// libdb may leave the extents of a queue that it removes. When the name is given to a queue without extents, they
        /// are no part of it: not stored, and their pages, of another size, are no damage.
        @Test func extentsThatNothingReads() throws {
            let environment = try LiveEnvironment(
                .init("no extents", "queue,btree", options: "--records 500 --page-size 4096"))
            try environment.workload.stop()
            let other = try LiveEnvironment(
                .init(
                    "extents", "queue,btree", options: "--records 500 --page-size 512 --queue-extent 4"))
            try other.workload.stop()
            for path in try Self.extents(in: other.home) {
                try run("cp", [path, environment.home]).require(0)
            }
            #expect(try Self.extents(in: environment.home).count > 1)

            let backup = try environment.goodBackup(["--offline"])
            let restored = try environment.restore(backup.snapshot)
            #expect(try Self.extents(in: restored).isEmpty)
            // The control: those of a queue that has them are stored.
            let whole = try other.restore(other.goodBackup(["--offline"]).snapshot)
            #expect(try Self.extents(in: whole).map(Path.name) == Self.extents(in: other.home).map(Path.name))
        }

        private static func extents(in home: String) throws -> [String] {
            try FileTree.files(in: home).filter { Path.name($0).hasPrefix("__dbq.") }.sorted()
        }

        @Test(.needsTemporaryFiles(notOn: .xfs, "direct reads are allowed on XFS"))
        func directReadsOfALiveEnvironmentAreRefusedElsewhere() throws {
            let environment = try LiveEnvironment(.init("direct", "btree,hash", options: "--records 500"))
            let refused = try environment.backup(["--direct"]).require(1)
            #expect(refused.errors.contains("XFS"), "\(refused)")
            #expect(try environment.varve.snapshots().isEmpty)
            try environment.requireFlagsAsBefore()
            try environment.workload.stop()
        }

        @Test(
            .needsDisk("xfs"),
            arguments: [
                EnvironmentConfiguration(
                    "XFS, 65536", "btree,hash",
                    options: "--records 2000 --page-size 65536 --checksum --cache 2000000"),
                EnvironmentConfiguration(
                    "XFS, queues in extents", "queue,btree,queue",
                    options: "--records 2000 --page-size 4096 --queue-extent 16 --checksum"),
                EnvironmentConfiguration(
                    "XFS, partitions", "btree,btree", place: "--partition",
                    options: "--records 2000 --checksum"),
            ])
        func directReadsOnXFS(_ configuration: EnvironmentConfiguration) throws {
            let directory = try TemporaryDirectory()
            let mounted = try LoopMount(.xfs, in: directory)
            defer { mounted.unmount() }
            try takeDirectBackups(configuration, in: mounted.path)
        }

        /// A scope of its own: everything on the file system is closed and removed at its end.
        private func takeDirectBackups(_ configuration: EnvironmentConfiguration, in directory: String) throws
        {
            let environment = try LiveEnvironment(configuration, in: directory)
            for _ in 0..<3 {
                try environment.workload.advance(200)
                let backup = try environment.goodBackup(["--direct"])
                let recovery = try #require(backup.recovery)
                let committed = try environment.workload.committed(at: recovery.restoresTo)
                let restored = try environment.restore(backup.snapshot)
                #expect(try environment.workload.check(restored) >= committed)
                #expect(committed > 0)
                try Directory.removeTree(restored)
            }
            try environment.requireFlagsAsBefore()
            try environment.workload.stop()
        }
    }
}
