import ArgumentParser
import VarveCapture
import VarveCopies
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct BackupCommand: RepositoryCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Store a Berkeley DB environment in the repository as a new snapshot.",
        discussion: """
            By default the environment is live: applications go on writing while libdb, in the helper process \
            varve-capture-bdb, copies the pages atomically. Databases are copied first, then the logs from the first one \
            that recovery needs.

            Exit code 3: the snapshot is stored, and a person should look. The snapshot is tainted (the source or the \
            repository was damaged already), or a copy failed during the backup, or the stored data could not be brought \
            under parity. The warnings say which.
            """)

    @OptionGroup var environment: EnvironmentArguments

    @Option(
        help: ArgumentHelp(
            "Name of the environment. It is remembered beside the environment (default: HOST:HOME).",
            valueName: "name"))
    var source: String?

    @Option(
        help: ArgumentHelp(
            "Minimum number of copies that must store the snapshot. With fewer the backup fails.",
            valueName: "count"))
    var require = 1

    @Flag(
        help: """
            Read the files directly, without libdb: for an environment that no process has open, or for a read-only \
            file system snapshot.
            """)
    var offline = false

    @Flag(help: "Read a live environment with plain reads. Works on XFS only, where page reads are atomic.")
    var direct = false

    @Option(
        help: ArgumentHelp(
            """
            Store only this database (relative to the home), with its queue extents and partitions. May be repeated. The \
            snapshot is marked PARTIAL: it is not 'latest' beside a whole one, and 'varve status' does not count it.
            """, valueName: "file"))
    var only: [String] = []

    @Flag(help: "Store every log file, also those that the recovery of this snapshot does not need.")
    var allLogs = false

    @Flag(
        help: """
            Read every file. Without it, --offline and --direct skip files that can't have changed since the previous \
            snapshot.
            """)
    var force = false

    @OptionGroup var copies: CopyOptions
    @OptionGroup var lock: WaitOption
    @OptionGroup var options: RepositoryOptions

    func validate() throws {
        if let source, !SourceName.isPossible(source) {
            throw ValidationError("--source: '\(source)' can't be the name of a source")
        }
        if require < 1 { throw ValidationError("--require must be at least 1, not \(require)") }
        if offline && direct { throw ValidationError("--offline and --direct exclude each other") }
    }

    /// What `--json` prints.
    private struct Output: Encodable {
        var snapshot: String
        var sequence: UInt64
        var source: String
        var tainted: Bool
        /// Only some of the environment's databases are in it.
        var partial: Bool
        var seconds: Double
        var restoresTo: Timestamp?
        var recovery: Manifest.Recovery?
        var statistics: Manifest.Statistics
        var warnings: [Manifest.Warning]
        var copies: [CopyAcknowledgement]?
        var parity: ParityReport?
        /// Why there is no parity of what was added.
        var parityError: String?
    }

    func run() throws {
        Interruption.install()
        // A pipe gives it once.
        let password = try environment.password.read()
        let line = ProgressLine()
        let (result, isDamaged) = try lock.patience().retry { _ in
            let repository = try options.open()
            let archiver = Archiver(
                repository: repository, copies: try copies.open(repository), required: require,
                cancellation: Interruption.cancellation, progress: { line.show($0) })
            return (try archive(archiver, password), !repository.identityDamage.isEmpty)
        }
        line.finish()
        for warning in result.manifest.warnings { Terminal.warn("warning: \(warning.message)") }
        Terminal.result(words(result, seconds: line.seconds))
        if let line = result.manifest.environment?.omitted?.othersLine { Terminal.remark("note: " + line) }
        tellCopies(result.copies)
        let (parity, parityError) = tellParity(result)
        try Terminal.document(
            Output(
                snapshot: result.snapshot.description, sequence: result.snapshot.sequence,
                source: result.source, tainted: result.manifest.tainted, partial: result.manifest.isPartial,
                seconds: line.seconds, restoresTo: result.manifest.recovery?.recoverableTo,
                recovery: result.manifest.recovery, statistics: result.manifest.statistics,
                warnings: result.manifest.warnings, copies: result.copies.isEmpty ? nil : result.copies,
                parity: parity, parityError: parityError?.description))
        let isCovered = parityError == nil && (parity?.skipped.isEmpty ?? true)
        // A copy that is away is nothing new; one that failed, or whose place another disk has, is.
        if result.manifest.tainted || !isCovered || isDamaged
            || result.copies.contains(where: \.needsAttention)
        {
            throw ExitCode(ExitStatus.attention)
        }
    }

    private func tellCopies(_ copies: [CopyAcknowledgement]) {
        for copy in copies where copy.caughtUp > 0 {
            Terminal.remark(
                "note: '\(copy.label)' lacked \(objects(copy.caughtUp)) of earlier backups; they were copied first"
            )
        }
        // The document of the named copy was told when the repository was opened.
        for copy in copies.dropFirst() where !copy.damagedDocuments.isEmpty {
            Terminal.warn(
                "warning: \(copy.damagedDocuments.joined(separator: ", ")) of '\(copy.label)' (\(copy.path)) is "
                    + "damaged: run 'varve heal'")
        }
        for copy in copies where copy.recordLost {
            Terminal.warn(
                "warning: the record of '\(copy.label)' (\(copy.path)) was lost from copies/ of the named copy, and is "
                    + "written anew: look for what else was lost ('varve verify')")
        }
        for copy in copies where !copy.isAcknowledged {
            Terminal.warn("warning: not on '\(copy.label)' (\(copy.path)): \(copy.reason ?? "")")
            if copy.needsAttention, let hint = copy.hint { Terminal.warn("hint: \(hint)") }
        }
    }

    /// The snapshot is complete, whatever became of its parity.
    private func tellParity(_ result: Archiver.Report) -> (ParityReport?, VarveError?) {
        switch result.parity {
        case nil: return (nil, nil)
        case .success(let report):
            for finding in report.skipped { Terminal.warn("damaged: \(finding.text): \(finding.problem)") }
            return (report, nil)
        case .failure(let error):
            Terminal.warn("warning: what was added is not under parity: \(error)")
            Terminal.warn("hint: \(error.hint ?? "run 'varve parity add PERCENT', or back up again")")
            return (nil, error)
        }
    }

    private func archive(_ archiver: Archiver, _ password: [UInt8]?) throws -> Archiver.Report {
        var environment = try environment.options()
        environment.only = only
        environment.allLogs = allLogs
        environment.readsAll = force
        if offline { return try archiver.backup(OfflineSource(environment), tool: Tool.name, as: source) }
        let helper = HelperOptions(
            password: password, cancellation: Interruption.cancellation)
        if direct {
            return try archiver.backup(DirectSource(environment, helper: helper), tool: Tool.name, as: source)
        }
        return try archiver.backup(LiveSource(environment, helper: helper), tool: Tool.name, as: source)
    }

    private func words(_ result: Archiver.Report, seconds: Double) -> String {
        let statistics = result.manifest.statistics
        var text = "snapshot \(result.snapshot): \(ByteCount(statistics.sourceBytes)) read in "
        text += "\(rate(statistics.sourceBytes, seconds)); \(ByteCount(statistics.storedBytes)) added"
        if let unread = statistics.unreadBytes {
            text += "; \(ByteCount(unread)) unchanged and not read"
        }
        if !result.copies.isEmpty {
            let done = result.copies.filter(\.isAcknowledged).map(\.label)
            text += "; on \(done.count) of \(result.copies.count) copies: \(done.joined(separator: ", "))"
        }
        if let recovery = result.manifest.recovery {
            text += "; restores to \(recovery.recoverableTo.toSeconds)"
        }
        if let only = result.manifest.environment?.only {
            text += "; PARTIAL, only the databases \(only.joined(separator: ", "))"
        }
        return text + (result.manifest.tainted ? "; TAINTED" : "")
    }
}
