import ArgumentParser
import Glibc
import VarveCapture
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository

struct RestoreCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Write a snapshot into an empty directory: databases first, then logs in order.",
        discussion: """
            The target gets its name when all files are there. Until then the files lie beside it, in \
            TARGET.varve-incomplete. With --recover, catastrophic recovery brings the databases to the end of the logs, \
            every database is verified, and the result is compared with the snapshot. Recovery can reach only the \
            restored files. Without --recover, recover the environment before you use it, as the last line says. \
            Never run normal recovery: it can lose committed data of a hot backup.

            Data and log directories outside of the home are restored beneath the target, and DB_CONFIG is changed to \
            name them there (the original stays beside it). --in-place restores such directories to where they were, --map \
            to another place. --dry-run prints each directory, from where to where.
            """)

    @Argument(help: "Snapshot: 'latest', a number, or as 'varve snapshots' prints it.")
    var snapshot: String

    @Option(
        help: ArgumentHelp("Empty or new directory to restore into.", valueName: "dir"),
        completion: .directory)
    var target: String

    @Flag(help: "Run catastrophic recovery, and verify every database.")
    var recover = false

    @Flag(help: "Print what would be done, check that it can be done, and change nothing.")
    var dryRun = false

    @Flag(
        help: """
            Restore data and log directories outside of the home to where they were. Other files may lie there. A file that \
            would be overwritten is refused before anything is written.
            """)
    var inPlace = false

    @Option(
        help: ArgumentHelp(
            "Restore a data or log directory outside of the home to another place. May be repeated.",
            valueName: "old=new"))
    var map: [String] = []

    @Option(
        help: ArgumentHelp(
            "User who writes directories outside of the target (default: the environment's owner, not root).",
            valueName: "user"))
    var owner: String?

    @Flag(help: .hidden)
    var allowAbsolute = false

    @OptionGroup var source: SourceOption
    @OptionGroup var password: PasswordArguments
    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption

    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable {
        var snapshot: String
        var target: String
        var files: Int
        var bytes: UInt64
        var seconds: Double
        var tainted: Bool
        var partial: Bool
        var recovery: RecoveryReport?
        var places: [RestorePlan.Place]
        /// What the application has to be told.
        var settings: [String]
        var notes: [String]
    }

    /// What `--dry-run --json` prints.
    private struct Plan: Encodable {
        var plan: RestorePlan

        private enum CodingKeys: CodingKey { case partial }

        func encode(to encoder: any Encoder) throws {
            try plan.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(plan.environment?.only != nil, forKey: .partial)
        }
    }

    func validate() throws {
        for entry in map {
            guard let sign = entry.firstIndex(of: "="), entry.hasPrefix("/") else {
                throw ValidationError(
                    "--map must be OLD=NEW, OLD an absolute path of the source, not '\(entry)'")
            }
            guard entry.index(after: sign) < entry.endIndex else {
                throw ValidationError("--map must be OLD=NEW; '\(entry)' has no NEW")
            }
        }
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
        let secret = try password.read()
        try plan.requireUse(of: secret)
        let recovery = recover ? Restorer.RecoveryOptions(password: secret) : nil
        let user = try owner.map(Self.user)
        if dryRun {
            try restorer.check(plan, recovery: recovery, owner: user)
            return try list(plan)
        }
        let result = try lock.patience().retry { _ in
            try restorer.restore(plan, recovery: recovery, owner: user)
        }
        line.finish()
        let report = result.recovery
        for note in plan.notes + result.notes { Terminal.warn("note: \(note)") }
        for use in restorer.others?.uses ?? [] {
            Terminal.warn(
                "note: \(use.blobs) extents came from the copy '\(use.label)', because \(repository.path) is damaged "
                    + "(\(use.reason)): run 'varve heal'")
        }
        let isGood = report?.isGood ?? true
        try Terminal.document(
            Output(
                snapshot: plan.snapshot, target: target, files: plan.files.count, bytes: plan.totalBytes,
                seconds: line.seconds, tainted: !plan.notes.isEmpty, partial: plan.environment?.only != nil,
                recovery: report, places: plan.places, settings: plan.settings,
                notes: plan.notes + result.notes))
        Terminal.result(
            "snapshot \(plan.snapshot) restored to \(target): \(plan.files.count) files, "
                + "\(ByteCount(plan.totalBytes)) in \(rate(plan.totalBytes, line.seconds))"
                + (report?.lines.first.map { "; " + $0 } ?? ""))
        report?.lines.dropFirst().forEach(isGood ? Terminal.remark : Terminal.warn)
        if let remark = plan.partialRemark { Terminal.remark("note: " + remark) }
        if let line = plan.environment?.omitted?.othersLine { Terminal.remark("note: " + line) }
        tellPlaces(plan)
        if report == nil, plan.environment != nil { tellNext(result.plainRecoveryFails) }
        if let report, !report.isGood {
            throw VarveError(
                .corrupt,
                report.differences.isEmpty
                    ? "recovery ended, but a database does not pass its verification"
                    : "recovery ended, but the result is not what the snapshot promises", location: target,
                hint:
                    "the lines above say what is wrong; restore an older snapshot, or salvage with db_dump -r"
            )
        }
        if !plan.notes.isEmpty { throw ExitCode(ExitStatus.attention) }
    }

    private func directoryMap() throws -> [String: String] {
        let here = try Path.resolve(".")
        return map.reduce(into: [:]) { result, entry in
            guard let sign = entry.firstIndex(of: "=") else { return }
            result[String(entry[..<sign])] = Path.join(here, String(entry[entry.index(after: sign)...]))
        }
    }

    private static func user(_ name: String) throws -> (user: UInt32, group: UInt32) {
        if let entry = getpwnam(name) { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
        guard let number = UInt32(name) else {
            throw VarveError(
                .invalid, "there is no user \(name)", hint: "name a user of this machine, or a user number")
        }
        return (number, getpwuid(number)?.pointee.pw_gid ?? number)
    }

    /// What a person must know to use it: where things are now, and what to tell the application.
    private func tellPlaces(_ plan: RestorePlan) {
        for place in plan.places.dropFirst() {
            let now = place.from == place.to ? "back in its place" : "now \(place.to)"
            Terminal.remark("\(place.role.rawValue) directory \(place.from) is \(now)")
        }
        if plan.configuration != nil {
            let hadOne = plan.files.contains { $0.path == "DB_CONFIG" }
            Terminal.remark(
                hadOne
                    ? "DB_CONFIG names the new places; the original is beside it as DB_CONFIG.before-restore"
                    : "DB_CONFIG names the new places; the snapshot has none")
        }
        for setting in plan.settings { Terminal.remark("change: \(setting)") }
    }

    private func tellNext(_ reason: String?) {
        guard let reason else {
            return Terminal.remark("next: recover it, with 'db5.3_recover -c -h \(target)'")
        }
        Terminal.remark(
            "next: restore the snapshot again with --recover; db5.3_recover alone is not enough (\(reason))")
    }

    private func list(_ plan: RestorePlan) throws {
        try Terminal.document(Plan(plan: plan))
        guard !Terminal.isJSON else { return }
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
        if plan.configuration != nil { try Terminal.output("DB_CONFIG is changed to name the new places") }
        for setting in plan.settings { try Terminal.output("change: \(setting)") }
        for note in plan.notes { try Terminal.output("note: \(note)") }
    }
}
