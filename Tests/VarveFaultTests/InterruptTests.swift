import Glibc
import ProcessSupport
import Testing
import VarveFiles
import VarveFormat

extension FaultTests {
    /// Ctrl-C: exit code 130, and everything as if nothing had been begun.
    @Suite(.serialized)
    struct InterruptTests {
        @Test(.timeLimit(.minutes(5))) func everyCommand() throws {
            let live = try LiveEnvironment()
            let journal = Path.join(live.home, ".varve/journal")
            let backup = try live.command.start(["backup", "--bdb", live.home])
            try waitUntil("a file under way", every: 200) {
                !backup.isRunning || (try? Text.read(journal))?.contains("\nfile ") == true
            }
            let helper = try #require(LiveEnvironment.child(of: backup.process), "the backup was too fast")
            backup.send(SIGINT)
            let interrupted = try backup.wait(seconds: 20)
            #expect(interrupted.code == 130, "\(interrupted)")
            #expect(interrupted.errors.contains("this backup made no snapshot"), "\(interrupted)")
            #expect(ProcessTable.startTime(of: helper) == nil)
            #expect(try live.settings() == live.flagsBefore)
            #expect(
                try Directory.list(Path.join(live.home, ".varve")).filter { $0 != "lock" && $0 != "source" }
                    == [])
            let stored = try Stored(live.command.repository)
            #expect(stored.manifests == [] && stored.temporary == 0)
            try live.command.requireGood("after an interrupted backup")

            try live.backup().require(0)
            let target = live.directory["target"]
            let restore = try live.command.start(["restore", "latest", "--target", target])
            try waitUntil("a restore under way", every: 200) {
                !restore.isRunning || access(target + ".varve-incomplete", F_OK) == 0
            }
            restore.send(SIGINT)
            let stopped = try restore.wait(seconds: 20)
            #expect(stopped.code == 130, "\(stopped)")
            #expect(stopped.errors.contains(target + ".varve-incomplete/tree"), "\(stopped)")
            #expect(access(target, F_OK) != 0)
            #expect(access(target + ".varve-incomplete", F_OK) == 0)
            try live.command.run(["restore", "latest", "--target", target]).require(0)
            #expect(access(target + ".varve-incomplete", F_OK) != 0)

            let verify = try live.command.start(["verify"])
            usleep(30_000)
            verify.send(SIGINT)
            let ended = try verify.wait(seconds: 20)
            #expect(ended.code == 130, "\(ended)")
            try live.command.requireGood("at the end")
            try live.workload.stop()
        }
    }

    @Suite(.serialized)
    struct InterruptedRecoveryTests {
        /// A helper that is silent, in libdb for as long as it likes, holds nobody up when it is at work on a copy.
        @Test func endsAtOnce() throws {
            let environment = try ClosedEnvironment()
            let target = environment.directory["target"]
            let restore = try environment.base.start(["restore", "1", "--target", target, "--recover"])
            var helper: pid_t?
            try waitUntil("the helper", every: 50) {
                helper = LiveEnvironment.child(of: restore.process)
                // Before it is that program, its parent waits for it in `posix_spawn`.
                let name = try? helper.map { try Text.read("/proc/\($0)/comm") }
                return name?.hasPrefix("varve-capture") == true || !restore.isRunning
            }
            let silent = try #require(helper)
            kill(silent, SIGSTOP)
            try #require(restore.isRunning, "the recovery was too fast")
            restore.send(SIGINT)
            let interrupted = try restore.wait(seconds: 8)
            #expect(interrupted.code == 130, "\(interrupted)")
            #expect(interrupted.errors.contains("hint: run the same command again"), "\(interrupted)")
            #expect(ProcessTable.startTime(of: silent) == nil)
            // What is not recovered does not have the target's name.
            #expect(access(target, F_OK) != 0)
            let left = Path.join(target + ".varve-incomplete", "tree")
            #expect(interrupted.errors.contains(left), "\(interrupted)")
            try run("cp", ["-a", left, environment.directory["saved"]]).require(0)
            try run("db5.3_recover", ["-c", "-h", environment.directory["saved"]]).require(0)
            _ = try Workload.check(environment.directory["saved"], layout: [])
            try environment.base.run(["restore", "1", "--target", target, "--recover"]).require(0)
            _ = try Workload.check(target, layout: [])
            #expect(access(target + ".varve-incomplete", F_OK) != 0)
        }
    }

    /// What a restore promises of its target.
    @Suite(.serialized)
    struct RestoreTargetTests {
        @Test func neverOverwrites() throws {
            let environment = try ClosedEnvironment()
            let target = environment.directory["target"]
            try Directory.create(target)
            try environment.base.run(["restore", "1", "--target", target, "--dry-run"]).require(0)
            #expect(try Directory.list(target) == [])
            #expect(access(target + ".varve-incomplete", F_OK) != 0)
            try environment.base.run(["restore", "1", "--target", target]).require(0)
            let again = try environment.base.run(["restore", "1", "--target", target])
            #expect(again.code == 1 && again.errors.contains("not empty"), "\(again)")
            // What a restore would refuse, its plan refuses.
            let plan = try environment.base.run(["restore", "1", "--target", target, "--dry-run"])
            #expect(plan.code == 1 && plan.errors.contains("not empty"), "\(plan)")
            #expect(plan.output.isEmpty, "\(plan)")
            let foreign = environment.directory["foreign"]
            try Directory.create(foreign + ".varve-incomplete")
            try Text.write("mine", to: foreign + ".varve-incomplete/notes")
            let refused = try environment.base.run(["restore", "1", "--target", foreign])
            #expect(refused.code == 1 && refused.errors.contains("not made by varve"), "\(refused)")
            #expect(try Text.read(foreign + ".varve-incomplete/notes") == "mine")
        }

        /// Killed between the target's name and the end: nothing is incomplete. With a tree in it, it would be.
        @Test func whatIsLeftOfACompleteOneGoes() throws {
            let environment = try ClosedEnvironment()
            let target = environment.directory["target"]
            try environment.base.run(["restore", "1", "--target", target]).require(0)
            let staging = target + ".varve-incomplete"
            for hasTree in [true, false] {
                try Directory.createAll(hasTree ? Path.join(staging, "tree") : staging)
                try Text.write("", to: Path.join(staging, ".varve-restore"))
                let again = try environment.base.run(["restore", "1", "--target", target])
                #expect(again.code == 1 && again.errors.contains("not empty"), "\(again)")
                #expect((access(staging, F_OK) == 0) == hasTree)
                if hasTree { try Directory.removeTree(staging) }
            }
        }

        @Test func attributesAndSparseTails() throws {
            let environment = try ClosedEnvironment()
            let directory = environment.directory
            let database = Path.join(environment.home, "btree1.db")
            chmod(database, 0o640)
            if Host.isRoot { chown(database, 4711, 4712) }
            let command = try environment.copy("work")
            try environment.backup(command).require(0)
            try command.run(["restore", "latest", "--target", directory["target"]]).require(0)
            for name in try Directory.list(directory["target"]) {
                let original = try #require(try FileStatus.of(Path.join(environment.home, name)))
                let restored = try #require(try FileStatus.of(Path.join(directory["target"], name)))
                #expect(original.attributes == restored.attributes, "\(name)")
                #expect(original.size == restored.size, "\(name)")
            }
            // The last log file is preallocated: its tail is a hole.
            let last = try #require(try Directory.list(directory["target"]).last { $0.hasPrefix("log.") })
            let blocks = try run("du", ["-k", Path.join(directory["target"], last)]).require(0).output
            let size = try #require(try FileStatus.of(Path.join(directory["target"], last))?.size)
            let original = try run("du", ["-k", Path.join(environment.home, last)]).require(0).output
            func kibibytes(_ text: String) -> UInt64 {
                text.split(separator: "\t").first.flatMap { UInt64($0) } ?? 0
            }
            // Written by whole extents.
            let limit = kibibytes(original) + UInt64(RepositoryDescription.Parameters().extentSize) / 1024 + 4
            #expect(kibibytes(blocks) <= limit, "of \(size) bytes: \(blocks), was \(original)")
        }
    }

    /// Bounded, whatever the size.
    @Suite(.serialized)
    struct MemoryTests {
        /// Mebibytes that a process and its helper had at most, each by its own high-water mark.
        @Test(.timeLimit(.minutes(20))) func peak() throws {
            let directory = try TemporaryDirectory()
            let records = Executable.isSoak ? 12_000_000 : 600_000
            try run(
                Executable.workload,
                [
                    "generate", "--home", directory["home"], "--records", "\(records)", "--value-size", "290",
                    "--cache", "67108864", "--keep-regions",
                ], seconds: 900
            ).require(0)
            let size = try #require(try FileStatus.of(Path.join(directory["home"], "main.db"))?.size)
            let command = try VarveCommand.initialized(directory["repository"])
            let backup = try command.start(["backup", "--bdb", directory["home"]])
            var peaks: [pid_t: UInt64] = [:]
            while backup.isRunning {
                for process in [backup.process, LiveEnvironment.child(of: backup.process) ?? 0] {
                    if let peak = Self.peak(of: process) { peaks[process] = max(peaks[process] ?? 0, peak) }
                }
                usleep(5000)
            }
            try backup.wait(seconds: 600).require(0)
            let total = peaks.values.reduce(0, +)
            print(
                "peak memory: \(total >> 20) MiB for \(size >> 20) MiB of database: \(peaks.values.map { $0 >> 20 })"
            )
            #expect(peaks.count == 2)
            #expect(total < 128 << 20, "\(peaks)")
        }

        private static func peak(of process: pid_t) -> UInt64? {
            guard let text = try? Text.read("/proc/\(process)/status") else { return nil }
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
                .flatMap { UInt64($0) }.map { $0 << 10 }
        }
    }
}
