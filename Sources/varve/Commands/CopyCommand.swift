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
            A copy is a complete repository in a directory of its own, and -r may name any of the copies. 'varve backup' \
            writes to every copy whose disk is there. 'varve copy sync' brings a copy up to date whose disk was away.
            """,
        subcommands: [
            CopyListCommand.self, CopyAddCommand.self, CopySyncCommand.self, CopyDetachCommand.self,
            CopyRemoveCommand.self,
        ])
}

/// One copy, as lists print it.
struct CopyRow: Encodable {
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
    /// What was copied to it by this command.
    var sync: SyncReport?

    init(_ copy: RepositoryCopy, sync: SyncReport? = nil) {
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
        self.sync = sync
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

struct CopyListCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the copies, where they are, and what they lack.")

    @OptionGroup var copies: CopyOptions
    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Output: Encodable { var copies: [CopyRow] }

    func run() throws {
        let rows = try copies.open(try options.open()).copies.map { CopyRow($0) }
        try Terminal.document(Output(copies: rows))
        guard !Terminal.isJSON else { return }
        let header = ["LABEL", "ROLE", "STATE", "NEWEST", "PATH"]
        try Terminal.output(
            table([header] + rows.map { [$0.label, $0.role, $0.state, $0.newestSnapshot ?? "-", $0.path] }))
        for row in rows {
            if let reason = row.absence ?? row.refusal { Terminal.remark("\(row.label): \(reason)") }
        }
    }
}

struct CopyAddCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Make a copy in an empty or new directory, or record the new place of a copy.",
        discussion: """
            The last directory of the path is made, and no other. A mount point of /etc/fstab where nothing is mounted is \
            refused, and what lies beneath it.
            """)

    @Argument(help: "Directory of the copy, on a disk of its own.", completion: .directory)
    var path: String

    @Option(help: ArgumentHelp("Label of the copy (default: 'copy' and a number).", valueName: "name"))
    var label: String?

    @Option(
        help: ArgumentHelp(
            "Where the disk is kept, for people: local, offsite or primary.", valueName: "role"),
        completion: .list(["local", "offsite", "primary"]))
    var role = "local"

    @Flag(help: "Leave the copy empty. 'varve copy sync' fills it.")
    var noSync = false

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func validate() throws {
        guard ["local", "offsite", "primary"].contains(role) else {
            throw ValidationError("--role must be local, offsite or primary, not '\(role)'")
        }
    }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let added = try CopyRegistry(try copies.open(repository)).add(at: path, label: label, role: role)
        let words = "copy '\(added.record.label)' (\(added.record.copy)) at \(added.record.path)"
        if noSync {
            try Terminal.document(CopyRow(added))
            return Terminal.result(words + "; empty: 'varve copy sync' fills it")
        }
        // Whatever becomes of its filling, it is made.
        try Terminal.document(CopyRow(added))
        let synchronization = Synchronization(lock.patience())
        let report = try synchronization.run { _ in
            let all = try copies.open(repository, but: added.record)
            return (all, try all.find(added.record.copy))
        }
        let now = try copies.open(repository, but: added.record).find(added.record.copy)
        try Terminal.document(CopyRow(now, sync: report))
        Terminal.result(words + "; " + synchronization.words.joined(separator: "; "))
        try synchronization.requireComplete()
    }
}

struct CopySyncCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync", abstract: "Bring copies up to date: copy the objects that each of them lacks.",
        discussion: """
            Every object is hashed while it is copied. If an object is damaged in one copy, it is taken from another. \
            An interrupted run keeps what it has copied, and the next run continues. If two copies took backups \
            separately, both copies hold all these backups afterwards.
            """)

    @Argument(
        help: ArgumentHelp(
            "Copies (labels, ids or paths). Without any, all that are there.", valueName: "copy"))
    var names: [String] = []

    @Flag(help: "Print what would be copied, and change nothing.")
    var dryRun = false

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    /// What `--json` prints.
    private struct Plans: Encodable { var copies: [SyncPlan] }
    private struct Reports: Encodable { var copies: [SyncReport] }

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let all = try copies.open(repository)
        let targets = names.isEmpty ? all.online : try names.map { try all.find($0) }
        if dryRun {
            let plans = try targets.map { try CopySynchronizer(all).plan($0) }
            try Terminal.document(Plans(copies: plans))
            guard !Terminal.isJSON else { return }
            for plan in plans {
                try Terminal.output(
                    "\(plan.label): \(plan.packs.count) packs, \(snapshots(plan.manifests.count)), "
                        + "\(ByteCount(plan.bytes)) to copy to \(plan.path)")
            }
            return
        }
        // One that may not be written to is told of when the others are up to date.
        let synchronization = Synchronization(lock.patience())
        for target in names.isEmpty ? targets.filter({ $0.refusal == nil }) : targets {
            try synchronization.run { isAgain in
                // Another process may have written to them while this one waited.
                let now = isAgain ? try copies.open(repository) : all
                return (now, try now.find(target.record.copy))
            }
        }
        try Terminal.document(Reports(copies: synchronization.reports))
        Terminal.result(synchronization.words.joined(separator: "; "))
        try synchronization.requireComplete()
        guard names.isEmpty else { return }
        for copy in all.copies where !copy.isThere {
            Terminal.remark("note: \(copy.record.label) is away: \(copy.absence.map { "\($0)" } ?? "")")
        }
        if let trouble = all.copies.lazy.compactMap(\.trouble).first { throw trouble }
    }
}

/// Brings copies up to date, one after the other.
private final class Synchronization {
    private let patience: LockPatience
    private(set) var reports: [SyncReport] = []
    /// The result of each.
    private(set) var words: [String] = []

    init(_ patience: LockPatience) { self.patience = patience }

    /// - Parameter find: all copies, and the one to bring up to date, as they are now.
    @discardableResult
    func run(_ find: (_ isAgain: Bool) throws -> (RepositoryCopies, RepositoryCopy)) throws
        -> SyncReport
    {
        let line = ProgressLine()
        let report = try patience.retry { isAgain in
            let (all, target) = try find(isAgain)
            return try CopySynchronizer(
                all, cancellation: Interruption.cancellation,
                progress: { line.show($0) }
            ).run(target)
        }
        line.finish()
        reports.append(report)
        for finding in report.findings { Terminal.warn("damaged: \(finding.text): \(finding.problem)") }
        words.append(
            "\(report.label): \(objects(report.objects)), \(ByteCount(report.bytes)) copied in "
                + "\(rate(report.bytes, line.seconds)), \(report.isComplete ? "complete" : "INCOMPLETE")")
        return report
    }

    /// - Throws: `.corrupt` if one of them lacks something.
    func requireComplete() throws {
        guard let lacking = reports.first(where: { !$0.isComplete }) else { return }
        throw VarveError(
            .corrupt, "the copy '\(lacking.label)' still lacks objects", location: lacking.path,
            hint:
                "no copy that is there has the objects above whole: mount the other copies, then run 'varve copy sync'"
        )
    }
}

struct CopyDetachCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Bring a copy up to date, check it, and record that its disk may be removed.")

    @Argument(help: ArgumentHelp("Copy (label, id or path).", valueName: "copy"))
    var name: String

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func run() throws {
        Interruption.install()
        let repository = try options.open()
        let synchronization = Synchronization(lock.patience())
        let report = try synchronization.run { _ in
            let all = try copies.open(repository)
            return (all, try all.find(name))
        }
        synchronization.words.forEach(Terminal.remark)
        // Looked at anew: that it lacks nothing now is what is promised.
        let now = try copies.open(repository)
        let copy = try now.find(name)
        try Terminal.document(CopyRow(copy, sync: report))
        try synchronization.requireComplete()
        guard copy.isThere, copy.isComplete else {
            throw VarveError(
                .missing, "the copy '\(copy.record.label)' still lacks objects",
                hint: "run 'varve copy sync' again")
        }
        try check(try copy.there())
        try CopyRegistry(now).detach(copy)
        try Terminal.document(CopyRow(try copies.open(repository).find(name), sync: report))
        let mountPoint = Device.mountPoint(of: copy.repository?.path ?? copy.record.path)
        Terminal.result(
            "copy '\(copy.record.label)' is complete and flushed: its disk may be removed"
                + (mountPoint.map { $0 == "/" ? "" : " (umount \($0))" } ?? ""))
    }

    /// What came to the disk since it was read last, and what was bad, is read from the medium.
    private func check(_ repository: Repository) throws {
        var media = MediaOptions()
        media.olderThan = .greatestFiniteMagnitude
        let line = ProgressLine()
        let report = try Verifier(
            repository, cancellation: Interruption.cancellation,
            progress: { line.show($0) }
        ).verifyMedia(media)
        line.finish()
        for finding in report.findings { Terminal.warn("damaged: \(finding.text): \(finding.problem)") }
        guard report.isGood else {
            throw VarveError(
                .corrupt, "\(repository.path) is damaged", hint: "run 'varve heal', then detach it again")
        }
    }
}

struct CopyRemoveCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a copy. Nothing on its disk is deleted.")

    @Argument(help: ArgumentHelp("Copy (label, id or path).", valueName: "copy"))
    var name: String

    @OptionGroup var copies: CopyOptions
    @OptionGroup var options: RepositoryOptions

    func run() throws {
        let all = try copies.open(try options.open())
        let copy = try all.find(name)
        try CopyRegistry(all).remove(copy)
        try Terminal.document(CopyRow(copy))
        Terminal.result("copy '\(copy.record.label)' is forgotten; its files are untouched")
    }
}
