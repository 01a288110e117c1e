import Glibc
import ProcessSupport
import Testing
import VarveFiles

/// A saturated writer on databases large enough to be caught in the middle of one.
final class LiveEnvironment {
    static let options = [
        "--records", "60000", "--cache", "16777216", "--checkpoint-ms", "500", "--auto-remove",
    ]

    let directory: TemporaryDirectory
    let workload: Workload
    let command: VarveCommand
    var home: String { workload.home }
    let flagsBefore: String
    private var random = SeededGenerator(for: "moments of death")

    init(_ options: [String] = LiveEnvironment.options, layout: [String] = []) throws {
        directory = try TemporaryDirectory()
        workload = try Workload(
            home: directory["home"], layout: layout, options: options, notes: directory.path, seconds: 600)
        command = try VarveCommand.initialized(directory["repository"])
        flagsBefore = try Self.settings(workload.flags().output)
    }

    func backup() throws -> Finished { try command.run(["backup", "--bdb", home]) }

    /// Counter, automatic log removal and panic; what moves with the writer's work is left out.
    static func settings(_ flags: String) throws -> String {
        let wanted = ["\"hot_backup\"", "\"auto_remove\"", "\"panic\""]
        return flags.split(separator: ",").map { $0.filter { !"{}\n".contains($0) } }
            .filter { part in wanted.contains { part.hasPrefix($0) } }.joined(separator: ",")
    }

    func settings() throws -> String { try Self.settings(workload.flags().output) }

    /// Checkpoints go on: one that began after now ends soon.
    func requireCheckpoint(_ comment: Comment) throws {
        let workload = workload
        let freed = Clock.monotonic()
        // One that hung comes back within libdb's step of a second; its length is no longer news.
        try waitUntil("the end of the checkpoint under way, \(comment)", seconds: 10) {
            guard let started = try workload.unfinishedCheckpoint() else { return true }
            return started > freed
        }
        let now = Clock.monotonic()
        try waitUntil("a checkpoint, \(comment)", seconds: 10) {
            try workload.checkpointCount(since: now) > 0
        }
        #expect(try workload.longestCheckpoint(since: now) < 3, comment)
    }

    /// A backup whose helper is at work on a file, wherever: it opens it, and may wait for the application's lock on its
    /// first page; or it reads it, libdb's waits for page writers included. varve is stopped, so that no slot comes free.
    func interruptedBackup() throws -> (varve: RunningProcess, helper: pid_t) {
        for _ in 0..<20 {
            let varve = try command.start(["backup", "--bdb", home])
            let journal = Path.join(home, ".varve/journal")
            try waitUntil("a file under way", seconds: 20, every: 200) {
                guard varve.isRunning else { return true }
                return (try? Text.read(journal))?.contains("\nfile ") == true
            }
            usleep(.random(in: 0...20_000, using: &random))
            varve.send(SIGSTOP)
            if let helper = Self.child(of: varve.process), varve.isRunning { return (varve, helper) }
            varve.send(SIGCONT)
            try varve.wait(seconds: 60)
        }
        throw ProcessFailure("no backup could be caught in the middle of a file")
    }

    static func child(of process: pid_t) -> pid_t? {
        let text = try? Text.read("/proc/\(process)/task/\(process)/children")
        return text?.split(separator: " ").first.flatMap { pid_t($0) }
    }
}

extension FaultTests {
    /// SIGKILL in the middle of a file, under a saturated writer.
    @Suite(.serialized)
    struct KilledCaptureTests {
        /// What a helper left that was killed while it wrote its journal goes with the next backup; nothing else does.
        @Test func halfAJournalGoes() throws {
            let live = try LiveEnvironment()
            let own = Path.join(live.home, ".varve")
            try Directory.create(own)
            try Text.write("half", to: Path.join(own, "journal.3w5e11264sgsf.tmp"))
            try Text.write("mine", to: Path.join(own, "notes.tmp"))
            try live.backup().require(0)
            let kept = Set(try Directory.list(own))
            #expect(kept.contains("notes.tmp") && !kept.contains { $0.hasPrefix("journal") }, "\(kept)")
            try live.workload.stop()
        }

        @Test(.timeLimit(.minutes(5))) func ofTheHelper() throws {
            let live = try LiveEnvironment()
            let start = Clock.monotonic()
            let (varve, helper) = try live.interruptedBackup()
            kill(helper, SIGKILL)
            varve.send(SIGCONT)
            let finished = try varve.wait(seconds: 60)
            #expect(finished.code == 1, "\(finished)")
            #expect(finished.errors.contains("killed by signal 9"), "\(finished)")
            #expect(finished.errors.contains("undone"), "\(finished)")
            try finish(live, since: start)
        }

        @Test(.timeLimit(.minutes(5))) func ofVarve() throws {
            let live = try LiveEnvironment()
            let start = Clock.monotonic()
            let (varve, helper) = try live.interruptedBackup()
            varve.send(SIGKILL)
            try varve.wait(seconds: 10)
            try waitUntil("the helper's end", seconds: 20) { ProcessTable.startTime(of: helper) == nil }
            #expect(access(Path.join(live.home, ".varve/journal"), F_OK) != 0)
            try finish(live, since: start)
        }

        /// The control: with both gone and nothing done, the checkpoint hangs. Then unwedge frees it.
        @Test(.timeLimit(.minutes(5))) func ofBothThenUnwedge() throws {
            let live = try LiveEnvironment()
            try wedge(live)
            #expect(try live.settings() != live.flagsBefore)
            let report = try run(Executable.varve, ["unwedge", "--bdb", live.home]).require(0)
            #expect(report.output.contains("died and left a journal"), "\(report)")
            #expect(report.output.contains("let go"), "\(report)")
            try live.requireCheckpoint("after unwedge")
            #expect(try live.settings() == live.flagsBefore)
            let second = try run(Executable.varve, ["unwedge", "--bdb", live.home]).require(0)
            #expect(second.output.contains("no backup left anything to undo"), "\(second)")
            try finish(live, since: Clock.monotonic())
        }

        @Test(.timeLimit(.minutes(5))) func ofBothThenBackup() throws {
            let live = try LiveEnvironment()
            try wedge(live)
            let next = try live.backup().require(0)
            #expect(next.errors.contains("an earlier backup had died"), "\(next)")
            #expect(next.errors.contains("let go"), "\(next)")
            try live.requireCheckpoint("after the next backup")
            try finish(live, since: Clock.monotonic())
        }

        /// Kills both until a checkpoint hangs: a kill between two ranges leaves nothing to wait for.
        private func wedge(_ live: LiveEnvironment) throws {
            for _ in 0..<15 {
                let (varve, helper) = try live.interruptedBackup()
                kill(helper, SIGKILL)
                varve.send(SIGKILL)
                try varve.wait(seconds: 10)
                let end = Clock.monotonic() + 8_000_000_000
                while Clock.monotonic() < end {
                    let started = try live.workload.unfinishedCheckpoint()
                    // Four times the second that one may take without any backup.
                    if let started, started + 4_000_000_000 < Clock.monotonic() { return }
                    usleep(50_000)
                }
                try run(Executable.varve, ["unwedge", "--bdb", live.home]).require(0)
            }
            Issue.record("no checkpoint ever hung: the control does not control")
        }

        /// Flags as before, a backup that succeeds, restored to what the writer had committed; no checkpoint of
        /// three seconds since.
        private func finish(_ live: LiveEnvironment, since: UInt64) throws {
            try live.requireCheckpoint("at the end")
            #expect(try live.settings() == live.flagsBefore)
            let committed = try live.workload.committed()
            try live.backup().require(0)
            #expect(try live.settings() == live.flagsBefore)
            #expect(
                try Directory.list(Path.join(live.home, ".varve")).filter { $0 != "lock" && $0 != "source" }
                    == [])
            let longest = try live.workload.longestCheckpoint(since: since)
            #expect(longest < 3, "a checkpoint took \(longest) s")
            let target = live.directory["restored"]
            try live.command.run(["restore", "latest", "--target", target, "--recover"]).require(0)
            #expect(try live.workload.check(target) >= committed)
            try live.command.requireGood("at the end")
            try live.workload.stop()
        }
    }

    /// varve killed at its own calls, of a live environment: its helper cleans up.
    @Suite(.serialized, .needs("strace"))
    struct KilledLiveBackupTests {
        @Test(.timeLimit(.minutes(30))) func atEveryCall() throws {
            let live = try LiveEnvironment(["--records", "2000", "--cache", "4194304", "--rate", "2000"])
            let arguments = ["backup", "-r", live.command.repository, "--bdb", live.home]
            let log = live.directory["log"]
            let calls = try Tracer.count(arguments, Tracer.changing, log: log)
            var random = SeededGenerator(for: "killed live backup")
            for (call, count) in calls {
                for number in sample(count, limit: 3, &random) {
                    let comment: Comment = "live backup killed at \(call) number \(number) of \(count)"
                    try Tracer.start(
                        arguments,
                        ["-e", "trace=\(call)", "-e", "inject=\(call):signal=KILL:when=\(number)"],
                        log: log
                    ).wait(seconds: 60)
                    let again = try live.backup()
                    #expect(again.code == 0, "\(comment): \(again)")
                    #expect(try live.settings() == live.flagsBefore, comment)
                    try live.command.requireGood(comment)
                }
            }
            let target = live.directory["restored"]
            let committed = try live.workload.committed()
            try live.backup().require(0)
            try live.command.run(["restore", "latest", "--target", target, "--recover"]).require(0)
            #expect(try live.workload.check(target) >= committed)
            try live.workload.stop()
        }
    }
}
