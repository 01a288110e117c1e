import Glibc
import ProcessSupport
import Testing
import VarveFiles

extension ProcessTests {
    /// The programs in `Examples/`, as another package's: they see what is public, and no more.
    @Suite struct ExampleTests {
        private let directory: TemporaryDirectory
        private let backup = Path.join(Executable.directory, "hourly-backup")
        private let restore = Path.join(Executable.directory, "restore-and-check")

        init() throws { directory = try TemporaryDirectory() }

        @Test func anApplicationBacksItselfUpAndIsRestored() throws {
            let layout = ["--methods", "btree"]
            let writer = try Workload(
                home: directory["home"], layout: layout, options: ["--records", "2000", "--rate", "300"],
                notes: directory.path)
            let repository = directory["repository"]
            let rounds = try run(backup, [directory["home"], repository, "0.5", "2"], seconds: 60).require(0)
            let lines = rounds.output.split(separator: "\n").filter { $0.hasPrefix("snapshot ") }
            #expect(lines.count == 2 && lines.allSatisfy { $0.contains("restores to 20") }, "\(rounds)")
            try writer.stop()
            let restored = try run(restore, [repository, directory["restored"]], seconds: 60).require(0)
            #expect(restored.output.contains("snapshot 2-"), "\(restored)")
            #expect(restored.output.contains("verified: btree1.db"), "\(restored)")
            #expect(try Workload.check(directory["restored"], layout: layout) > 0)

            // The control: what can't be done is said, with what to do, and nothing is there.
            let again = try run(restore, [repository, directory["restored"]], seconds: 60)
            #expect(again.code == 1 && again.output.contains("is not empty"), "\(again)")
            let packs = try Directory.list(Path.join(repository, "packs")).map {
                Path.join(repository, "packs/\($0)")
            }
            for pack in try packs.flatMap({ shard in try Directory.list(shard).map { Path.join(shard, $0) } })
            {
                chmod(pack, 0o600)
                #expect(truncate(pack, 4096) == 0)
            }
            let damaged = try run(restore, [repository, directory["damaged"]], seconds: 60)
            #expect(damaged.code == 1 && damaged.output.contains("no snapshot is whole"), "\(damaged)")
            #expect(access(directory["damaged"], F_OK) != 0)
        }

        /// What can't be done is said, with the code of what a person must do.
        @Test func aHomeWithoutAnEnvironment() throws {
            try Directory.create(directory["home"])
            let failed = try run(
                backup, [directory["home"], directory["repository"], "1", "1"], seconds: 60)
            #expect(failed.code == 1 && failed.output.contains("failed: "), "\(failed)")
            #expect(failed.output.contains("need a person"), "\(failed)")
        }
    }
}
