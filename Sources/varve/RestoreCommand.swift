import ArgumentParser
import Varve
import VarveCapture
import VarveFormat
import VarveRepository

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Write a snapshot into an empty directory, databases first, then logs in order.",
        discussion: """
            The target takes its name only when everything is there; until then the work lies beside it, in \
            TARGET.varve-incomplete. With --recover, catastrophic recovery brings the databases to the end of the \
            logs, and every database is verified. Without it, run 'db5.3_recover -c' before you use the environment: \
            never normal recovery, which can lose committed data of a hot backup.
            """)

    @OptionGroup var options: RepositoryOptions

    @Argument(help: "latest, a number, or what 'varve snapshots' prints.")
    var snapshot: String

    @Option(help: "An empty or new directory.", completion: .directory)
    var target: String

    @Flag(help: "Run catastrophic recovery and verify every database.")
    var recover = false

    @Flag(help: "Print what would be done, and do nothing.")
    var dryRun = false

    @Flag(
        help:
            "Restore although names in DB_CONFIG or in the logs, absolute or with '..', can lead recovery to the live files."
    )
    var allowAbsolute = false

    @OptionGroup var password: PasswordArguments
    @OptionGroup var copies: CopyOptions

    /// What `--json` prints.
    private struct Output: Codable {
        var snapshot: String
        var target: String
        var files: Int
        var bytes: UInt64
        var seconds: Double
        var recovery: RecoveryReport?
    }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let reference = try repository.find(snapshot)
        let line = ProgressLine()
        let restorer = Restorer(
            repository: repository, copies: try copies.open(repository),
            cancellation: Interruption.cancellation, progress: { line.show($0) })
        let plan = try restorer.plan(reference, target: target, options: .init(allowAbsolute: allowAbsolute))
        try repository.requireOutside(target)
        if dryRun { return try printPlan(plan) }
        let secret = try password.read()
        try restorer.restore(plan)
        line.finish()
        Terminal.say(
            "snapshot \(plan.snapshot) restored to \(target): \(plan.files.count) files, "
                + "\(ByteCount(plan.totalBytes)) in \(rate(plan.totalBytes, line.seconds))")
        if let remark = plan.partialRemark { Terminal.say("note: " + remark) }
        if let line = plan.environment?.omitted?.othersLine { Terminal.say("note: " + line) }
        for note in plan.notes { Terminal.say("note: \(note)") }
        for use in restorer.others?.uses ?? [] {
            Terminal.say(
                "note: \(use.blobs) extents came from the copy '\(use.label)', as \(repository.path) is damaged "
                    + "(\(use.reason)): run 'varve heal'")
        }
        let report =
            recover
            ? try Recovery(plan, password: secret, cancellation: Interruption.cancellation).run() : nil
        report?.lines.forEach(Terminal.say)
        if recover == false, plan.environment != nil {
            Terminal.say(
                "next: recover it, with 'db5.3_recover -c -h \(target)' if DB_CONFIG knows its directories")
        }
        if options.json {
            try printJSON(
                Output(
                    snapshot: plan.snapshot, target: target, files: plan.files.count, bytes: plan.totalBytes,
                    seconds: line.seconds, recovery: report))
        }
        if let report, !report.isGood {
            throw VarveError(
                .corrupt, "recovery ended, but not every database passes its verification", location: target,
                hint: "the lines above name them; restore an older snapshot, or salvage with db_dump -r")
        }
        if !plan.notes.isEmpty { throw ExitCode(ExitStatus.tainted) }
    }

    private func printPlan(_ plan: RestorePlan) throws {
        if options.json { return try printJSON(plan) }
        try Terminal.output(
            "snapshot \(plan.snapshot) to \(plan.target): \(plan.files.count) files, \(ByteCount(plan.totalBytes))"
        )
        let rows = plan.files.enumerated().map { number, file in
            ["\(number + 1).", file.kind.rawValue, "\(ByteCount(file.size))", file.path]
        }
        try Terminal.output(table(rows, rightAligned: [0, 2]))
        if let recovery = plan.recovery {
            try Terminal.output(
                "then catastrophic recovery, logs \(recovery.firstLog) to \(recovery.lastLog), "
                    + "to \(recovery.endOfLog) (\(recovery.recoverableTo))")
        }
        if let remark = plan.partialRemark { try Terminal.output("note: " + remark) }
        for note in plan.notes + plan.absoluteNames.map({ "absolute name: \($0)" }) {
            try Terminal.output("note: \(note)")
        }
    }
}
