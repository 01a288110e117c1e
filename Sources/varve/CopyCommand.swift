import ArgumentParser
import VarveCopies
import VarveFiles
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct CopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Keep equal copies of the repository on several disks.",
        discussion: """
            A copy is a complete repository in a directory of its own, and any of them may be named by -r. 'varve backup' \
            writes to all that are there. One that was away catches up with 'varve copy sync'.
            """,
        subcommands: [
            CopyListCommand.self, CopyAddCommand.self, CopySyncCommand.self, CopyDetachCommand.self,
            CopyRemoveCommand.self,
        ])
}

/// Which copies are looked for.
struct CopyOptions: ParsableArguments {
    @Option(help: "Go on without this copy (label or id; repeatable), as if it were away.")
    var without: [String] = []

    /// - Parameter added: a copy that was added just now, and so is not left out.
    func open(_ repository: Repository, but added: CopyRecord? = nil) throws -> RepositoryCopies {
        var options = RepositoryCopies.Options()
        options.without = Set(without)
        if let added { options.without.subtract([added.label, added.copy]) }
        return try RepositoryCopies(repository, options)
    }
}

/// One copy, as lists print it.
struct CopyRow: Codable {
    var copy: String
    var label: String
    var role: String
    var path: String
    var present: Bool
    /// Why it is away.
    var absence: String?
    /// Why nothing is written to it although it is there.
    var refusal: String?
    var detached: Timestamp?
    /// Packs and manifests that it lacks of those of the copy that was named.
    var lacking: Int?
    var newestSnapshot: String?
    var synchronized: Timestamp?

    init(_ copy: RepositoryCopies.Copy) {
        self.copy = copy.record.copy
        label = copy.record.label
        role = copy.record.role
        path = copy.repository?.path ?? copy.record.path
        present = copy.isThere
        absence = copy.absence.map { "\($0)" }
        refusal = copy.refusal.map { "\($0)" }
        detached = copy.record.detached
        lacking = copy.lacking
        newestSnapshot = copy.record.newestSnapshot.flatMap { SnapshotReference(name: $0) }?.description
        synchronized = copy.record.synchronized
    }

    var state: String {
        if !present {
            return detached.map { "detached since \($0.toSeconds)" } ?? "away"
        }
        if refusal != nil { return "refused" }
        return switch lacking {
        case 0?: "complete"
        case let count?: "lacks \(objects(count))"
        case nil: "can't be listed"
        }
    }
}

struct CopyListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The copies, where they are, and what they lack.")

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    func run() throws {
        let rows = try copies.open(try options.open()).copies.map { CopyRow($0) }
        if options.json { return try printJSON(rows) }
        let header = ["LABEL", "ROLE", "STATE", "NEWEST", "PATH"]
        try Terminal.output(
            table([header] + rows.map { [$0.label, $0.role, $0.state, $0.newestSnapshot ?? "-", $0.path] }))
        for row in rows {
            if let reason = row.absence ?? row.refusal { Terminal.say("\(row.label): \(reason)") }
        }
    }
}

struct CopyAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a copy in an empty or new directory, or tell where one is now.")

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "The copy's directory, on a disk of its own.", completion: .directory)
    var path: String

    @Option(help: "A name for people.")
    var label: String?

    @Option(help: "For people: local or offsite.")
    var role = "local"

    @Flag(help: "Leave it empty; 'varve copy sync' fills it.")
    var noSync = false

    func validate() throws {
        guard ["local", "offsite", "primary"].contains(role) else {
            throw ValidationError("--role is local, offsite or primary")
        }
    }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let added = try CopyRegistry(try copies.open(repository)).add(at: path, label: label, role: role)
        Terminal.say("copy '\(added.record.label)' (\(added.record.copy)) at \(added.record.path)")
        if noSync {
            if options.json { try printJSON(CopyRow(added)) }
            return
        }
        let all = try copies.open(repository, but: added.record)
        try synchronize([try all.find(added.record.copy)], all, options)
    }
}

struct CopySyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync", abstract: "Bring copies up to everything that those that are there hold.",
        discussion: """
            Every object is hashed as it is copied, and taken from another copy where one is damaged. What was copied \
            stays when the run is ended; the next goes on. Backups that two copies took separately are in both afterwards.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "Labels, ids or paths; all that are there without any.")
    var names: [String] = []

    @Flag(help: "Print what would be copied, and do nothing.")
    var dryRun = false

    func run() throws {
        Interruption.install()
        let all = try copies.open(try options.open())
        let targets = names.isEmpty ? all.online : try names.map { try all.find($0) }
        if dryRun {
            let plans = try targets.map { try CopySynchronizer(all).plan($0) }
            if options.json { return try printJSON(plans) }
            for plan in plans {
                try Terminal.output(
                    "\(plan.label): \(plan.packs.count) packs, \(snapshots(plan.manifests.count)), "
                        + "\(ByteCount(plan.bytes)) to copy to \(plan.path)")
            }
            return
        }
        // One that may not be written to is told of when the others are up to date.
        try synchronize(names.isEmpty ? targets.filter { $0.refusal == nil } : targets, all, options)
        guard names.isEmpty else { return }
        for copy in all.copies where !copy.isThere {
            Terminal.say("\(copy.record.label) is away: \(copy.absence.map { "\($0)" } ?? "")")
        }
        if let trouble = all.copies.lazy.compactMap(\.trouble).first { throw trouble }
    }
}

/// Brings each up to date, says so, and fails if one is not.
private func synchronize(
    _ targets: [RepositoryCopies.Copy], _ all: RepositoryCopies, _ options: RepositoryOptions
) throws {
    var reports: [SyncReport] = []
    for target in targets {
        let line = ProgressLine()
        let synchronizer = CopySynchronizer(
            all, isCancelled: { Interruption.cancellation.isRequested },
            progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
        let report = try synchronizer.run(target)
        line.finish()
        reports.append(report)
        for finding in report.findings { Terminal.say("damaged: \(finding.object): \(finding.problem)") }
        Terminal.say(
            "\(report.label): \(objects(report.objects)), \(ByteCount(report.bytes)) copied in "
                + "\(rate(report.bytes, line.seconds)); \(report.isComplete ? "complete" : "INCOMPLETE")")
    }
    if options.json { try printJSON(reports) }
    if let lacking = reports.first(where: { !$0.isComplete }) {
        throw VarveError(
            .corrupt, "the copy '\(lacking.label)' could not get everything", location: lacking.path,
            hint:
                "what is damaged above is good in no copy that is there; mount the others and run this again")
    }
}

struct CopyDetachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Bring a copy up to date, check it, and say that its disk may be removed.")

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "Label, id or path.")
    var name: String

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let all = try copies.open(repository)
        try synchronize([try all.find(name)], all, options)
        // Looked at anew: that it lacks nothing now is what is promised.
        let now = try copies.open(repository)
        let copy = try now.find(name)
        guard copy.isThere, copy.isComplete else {
            throw VarveError(
                .missing, "the copy '\(copy.record.label)' still lacks something",
                hint: "run 'varve copy sync' again")
        }
        try check(try copy.there())
        try CopyRegistry(now).detach(copy)
        Terminal.say(
            "copy '\(copy.record.label)' is complete and flushed: its disk may be removed "
                + "(umount \(copy.repository?.path ?? copy.record.path))")
    }
}

extension CopyDetachCommand {
    /// What came to the disk since it was read last, and what was bad, is read from the medium.
    private func check(_ repository: Repository) throws {
        var media = MediaOptions()
        media.olderThan = .greatestFiniteMagnitude
        let line = ProgressLine()
        let report = try Verifier(
            repository, isCancelled: { Interruption.cancellation.isRequested },
            progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) }
        ).verifyMedia(media)
        line.finish()
        for finding in report.findings { Terminal.say("damaged: \(finding.object): \(finding.problem)") }
        guard report.isGood else {
            throw VarveError(
                .corrupt, "\(repository.path) is damaged", hint: "run 'varve heal', then detach it again")
        }
    }
}

struct CopyRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a copy; nothing on its disk is deleted.")

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Argument(help: "Label, id or path.")
    var name: String

    func run() throws {
        let all = try copies.open(try options.open())
        let copy = try all.find(name)
        try CopyRegistry(all).remove(copy)
        Terminal.say("copy '\(copy.record.label)' is forgotten; its files are untouched")
    }
}
