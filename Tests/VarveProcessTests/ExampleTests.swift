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

        /// The system gives no thread for a while: the program that embeds Varve is told so, and goes on.
        @Test(.needsNobody()) func noThreadForAWhile() throws {
            chmod(directory.path, 0o755)
            for name in ["home", "place"] {
                mkdir(directory[name], 0o755)
                chmod(directory[name], 0o777)
            }
            let nobody = ["--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all"]
            let program = try RunningProcess(
                "setpriv",
                nobody + [
                    "stdbuf", "-oL", backup, directory["home"], directory["place"] + "/repository", "0.05",
                    "100000",
                ])
            func limit(_ processes: Int) throws {
                try run(
                    "setpriv",
                    nobody + ["prlimit", "--pid", "\(program.process)", "--nproc=\(processes):"]
                ).require(0)
            }
            func last(is beginning: String) throws {
                let known = program.outputSoFar.utf8.count
                try waitUntil(beginning) {
                    program.outputSoFar.utf8.dropFirst(known).split(separator: 10).dropFirst()
                        .contains { String($0)?.hasPrefix(beginning) == true }
                }
            }
            // There is no environment: with threads, that is what it says. This is the control as well.
            try last(is: "failed: there is no environment")
            try limit(1)
            try last(is: "later: no thread can be started")
            try limit(4096)
            try last(is: "failed: there is no environment")
            #expect(program.isRunning)
            try program.killGroup()
        }
    }
}
