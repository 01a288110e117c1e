import ArgumentParser
import Glibc
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Write a snapshot into an empty directory, databases first, then logs in order.",
        discussion: """
            The target takes its name only when everything is there; until then the work lies beside it, in \
            TARGET.varve-incomplete. With --recover, catastrophic recovery brings the databases to the end of the \
            logs, every database is verified, and what was reached is measured; nothing but the restored files can \
            be reached meanwhile. Without it, recover it before you use the environment, as the last line says: \
            never by normal recovery, which can lose committed data of a hot backup.

            Data and log directories that lay outside of the home are restored beneath the target, and DB_CONFIG is \
            changed to say so (the original stays beside it). --in-place puts them back to where they were, --map to \
            another place. --dry-run prints each directory, from where to where.
            """)

    @OptionGroup var options: RepositoryOptions

    @Argument(help: "latest, a number, or what 'varve snapshots' prints.")
    var snapshot: String

    @Option(help: "An empty or new directory.", completion: .directory)
    var target: String

    @Flag(help: "Run catastrophic recovery and verify every database.")
    var recover = false

    @Flag(help: "Print what would be done, check that it can be, and do nothing.")
    var dryRun = false

    @Flag(
        help: ArgumentHelp(
            "Put data and log directories that lay outside of the home back to where they were.",
            discussion:
                "Other files may lie there; a file that would be overwritten is refused before anything is written."
        ))
    var inPlace = false

    @Option(
        help: ArgumentHelp("Put such a directory to another place; may be repeated.", valueName: "old=new"))
    var map: [String] = []

    @Option(
        help: ArgumentHelp(
            "With whose rights those directories are written (the owner of the environment, but never root).",
            valueName: "user"))
    var owner: String?

    @Flag(help: .hidden)
    var allowAbsolute = false

    @OptionGroup var source: SourceOption
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
        var places: [RestorePlan.Place]
        /// What the application has to be told.
        var settings: [String]
    }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let reference = try repository.find(snapshot, source: source.source)
        let line = ProgressLine()
        let restorer = Restorer(
            repository: repository, copies: try copies.open(repository),
            cancellation: Interruption.cancellation, progress: { line.show($0) })
        let plan = try restorer.plan(
            reference, target: target, options: .init(inPlace: inPlace, map: try directoryMap()))
        try repository.requireOutside(target)
        if dryRun { try printPlan(plan) }
        let secret = try password.read()
        try plan.requireUse(of: secret)
        let recovery = recover ? Restorer.RecoveryOptions(password: secret) : nil
        let user = try owner.map(Self.user)
        if dryRun { return try restorer.check(plan, recovery: recovery, owner: user) }
        let result = try restorer.restore(plan, recovery: recovery, owner: user)
        let report = result.recovery
        line.finish()
        Terminal.say(
            "snapshot \(plan.snapshot) restored to \(target): \(plan.files.count) files, "
                + "\(ByteCount(plan.totalBytes)) in \(rate(plan.totalBytes, line.seconds))")
        if let remark = plan.partialRemark { Terminal.say("note: " + remark) }
        if let line = plan.environment?.omitted?.othersLine { Terminal.say("note: " + line) }
        for note in plan.notes + result.notes { Terminal.say("note: \(note)") }
        for use in restorer.others?.uses ?? [] {
            Terminal.say(
                "note: \(use.blobs) extents came from the copy '\(use.label)', as \(repository.path) is damaged "
                    + "(\(use.reason)): run 'varve heal'")
        }
        report?.lines.forEach(Terminal.say)
        sayPlaces(plan)
        if report == nil, plan.environment != nil { sayNext(result.plainRecoveryFails) }
        if options.json {
            try printJSON(
                Output(
                    snapshot: plan.snapshot, target: target, files: plan.files.count, bytes: plan.totalBytes,
                    seconds: line.seconds, recovery: report, places: plan.places, settings: plan.settings))
        }
        if let report, !report.isGood {
            throw VarveError(
                .corrupt,
                report.differences.isEmpty
                    ? "recovery ended, but not every database passes its verification"
                    : "recovery ended, but the result is not what the snapshot promises", location: target,
                hint:
                    "the lines above say what is wrong; restore an older snapshot, or salvage with db_dump -r"
            )
        }
        if !plan.notes.isEmpty { throw ExitCode(ExitStatus.tainted) }
    }

    private func directoryMap() throws -> [String: String] {
        var result: [String: String] = [:]
        for entry in map {
            guard let sign = entry.firstIndex(of: "="), entry.hasPrefix("/") else {
                throw VarveError(
                    .invalid, "--map \(entry) is not OLD=NEW, with the absolute path that it had",
                    hint: "varve restore \(snapshot) --target \(target) --dry-run prints the paths")
            }
            let new = String(entry[entry.index(after: sign)...])
            guard !new.isEmpty else { throw VarveError(.invalid, "--map \(entry) names no new place") }
            let here = try Path.resolve(".")
            result[String(entry[..<sign])] = Path.join(here, new)
        }
        return result
    }

    private static func user(_ name: String) throws -> (user: UInt32, group: UInt32) {
        if let entry = getpwnam(name) { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
        guard let number = UInt32(name) else {
            throw VarveError(
                .invalid, "there is no user \(name)", hint: "name one of this machine, or its number")
        }
        return (number, getpwuid(number)?.pointee.pw_gid ?? number)
    }

    /// What a person must know to use it: where things are now, and what to tell the application.
    private func sayPlaces(_ plan: RestorePlan) {
        for place in plan.places.dropFirst() {
            let now = place.from == place.to ? "back in its place" : "now \(place.to)"
            Terminal.say("\(place.role.rawValue) directory \(place.from) is \(now)")
        }
        if plan.configuration != nil {
            let hadOne = plan.files.contains { $0.path == "DB_CONFIG" }
            Terminal.say(
                hadOne
                    ? "DB_CONFIG says so; the original is beside it as DB_CONFIG.before-restore"
                    : "DB_CONFIG says so; there was none before")
        }
        for setting in plan.settings { Terminal.say("change: \(setting)") }
    }

    private func sayNext(_ reason: String?) {
        guard let reason else {
            return Terminal.say("next: recover it, with 'db5.3_recover -c -h \(target)'")
        }
        Terminal.say(
            "next: it is not recovered, and db5.3_recover alone would not do it right (\(reason)): restore it again with "
                + "--recover")
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
        for place in plan.places {
            try Terminal.output("\(place.role.rawValue): \(place.from) → \(place.to)")
        }
        if plan.configuration != nil { try Terminal.output("DB_CONFIG is changed to say so") }
        for setting in plan.settings { try Terminal.output("change: \(setting)") }
        for note in plan.notes { try Terminal.output("note: \(note)") }
    }
}
