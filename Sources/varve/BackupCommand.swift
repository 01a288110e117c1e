import ArgumentParser
import VarveCapture
import VarveCopies
import VarveFormat
import VarveOperations
import VarveRepository
import VarveUpkeep

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Take a Berkeley DB environment into the repository as a new snapshot.",
        discussion: """
            By default the environment is live: applications go on writing while libdb, in the helper process \
            varve-capture-bdb, copies the pages atomically. Databases come first, then the logs from the first one \
            that recovery needs.

            Exit code 3: the snapshot is stored, and a person should look. It is tainted (something was damaged \
            already, at the source or in the repository), or a copy failed meanwhile, or what was added could not be \
            brought under parity. The warnings say which.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var environment: EnvironmentArguments
    @OptionGroup var copies: CopyOptions

    @Option(
        help: "The environment's name (HOST:HOME unless it was given one before); it is remembered beside it."
    )
    var source: String?

    @Option(help: "The number of copies that must store the snapshot; with fewer the backup fails.")
    var require = 1

    @Flag(
        help:
            "Read the files directly, without libdb: of an environment that nobody has open, or of a read-only snapshot."
    )
    var offline = false

    @Flag(help: "Read a live environment with plain reads: on XFS only, where these are atomic.")
    var direct = false

    @Option(
        help: """
            Back up this database only, with its queue extents and partitions (repeatable; relative to the home). \
            Such a snapshot is marked PARTIAL: it is not 'latest' where there is a whole one, and 'varve status' \
            does not count it.
            """)
    var only: [String] = []

    @Flag(help: "Store every log file, also those that the recovery of this snapshot does not need.")
    var allLogs = false

    @Flag(
        help:
            "With --offline or --direct: read every file, also those that can't have changed since the snapshot before."
    )
    var force = false

    func validate() throws {
        if let source, !SourceName.isPossible(source) {
            throw ValidationError("--source: a source can't be called '\(source)'")
        }
        if require < 1 { throw ValidationError("--require is at least 1") }
        if offline && direct { throw ValidationError("--offline and --direct exclude each other") }
    }

    /// What `--json` prints.
    private struct Output: Codable {
        var snapshot: String
        var sequence: UInt64
        var source: String
        var tainted: Bool
        /// Only some of the environment's databases are in it.
        var partial: Bool
        var seconds: Double
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
        let repository = try options.open()
        let line = ProgressLine()
        let archiver = Archiver(
            repository: repository, copies: try copies.open(repository), required: require,
            cancellation: Interruption.cancellation, progress: { line.show($0) })
        let result = try archive(archiver)
        line.finish()
        for warning in result.manifest.warnings { Terminal.say("warning: \(warning.message)") }
        say(result, seconds: line.seconds)
        if let line = result.manifest.environment?.omitted?.othersLine { Terminal.say(line) }
        sayCopies(result.copies)
        let (parity, parityError) = sayParity(result)
        if options.json {
            try printJSON(
                Output(
                    snapshot: result.snapshot.description, sequence: result.snapshot.sequence,
                    source: result.source,
                    tainted: result.manifest.tainted, partial: result.manifest.isPartial,
                    seconds: line.seconds,
                    recovery: result.manifest.recovery,
                    statistics: result.manifest.statistics, warnings: result.manifest.warnings,
                    copies: result.copies.isEmpty ? nil : result.copies, parity: parity,
                    parityError: parityError?.description))
        }
        let isCovered = parityError == nil && (parity?.skipped.isEmpty ?? true)
        // A copy that is away is nothing new; one that failed, or whose place another disk has, is.
        if result.manifest.tainted || !isCovered || !repository.identityDamage.isEmpty
            || result.copies.contains(where: \.needsAttention)
        {
            throw ExitCode(ExitStatus.tainted)
        }
    }

    private func sayCopies(_ copies: [CopyAcknowledgement]) {
        guard !copies.isEmpty else { return }
        let done = copies.filter(\.isAcknowledged).map(\.label)
        Terminal.say("on \(done.count) of \(copies.count) copies: \(done.joined(separator: ", "))")
        for copy in copies where copy.caughtUp > 0 {
            Terminal.say("'\(copy.label)' lacked \(objects(copy.caughtUp)) of before, and got them first")
        }
        // Of the first it was said when it was opened.
        for copy in copies.dropFirst() where !copy.damagedDocuments.isEmpty {
            Terminal.say(
                "warning: \(copy.damagedDocuments.joined(separator: ", ")) of '\(copy.label)' (\(copy.path)) is "
                    + "damaged: run 'varve heal'")
        }
        for copy in copies where !copy.isAcknowledged {
            Terminal.say("warning: not on '\(copy.label)' (\(copy.path)): \(copy.reason ?? "")")
        }
    }

    /// The snapshot is complete, whatever became of its parity.
    private func sayParity(_ result: Archiver.Result) -> (ParityReport?, VarveError?) {
        switch result.parity {
        case nil: return (nil, nil)
        case .success(let report):
            for finding in report.skipped { Terminal.say("damaged: \(finding.object): \(finding.problem)") }
            return (report, nil)
        case .failure(let error):
            Terminal.say("warning: what was added is not under parity: \(error)")
            Terminal.say("hint: \(error.hint ?? "the next backup, or 'varve parity add', covers it")")
            return (nil, error)
        }
    }

    private func archive(_ archiver: Archiver) throws -> Archiver.Result {
        var environment = try environment.options()
        environment.only = only
        environment.allLogs = allLogs
        environment.readsAll = force
        if offline { return try archiver.backup(OfflineSource(environment), tool: Tool.name, as: source) }
        let helper = HelperOptions(
            password: try self.environment.password.read(),
            isCancelled: { Interruption.cancellation.isRequested },
            cancellationDescriptor: Interruption.cancellation.descriptor)
        if direct {
            return try archiver.backup(DirectSource(environment, helper: helper), tool: Tool.name, as: source)
        }
        return try archiver.backup(LiveSource(environment, helper: helper), tool: Tool.name, as: source)
    }

    private func say(_ result: Archiver.Result, seconds: Double) {
        let statistics = result.manifest.statistics
        var text = "snapshot \(result.snapshot): \(ByteCount(statistics.sourceBytes)) read in "
        text += "\(rate(statistics.sourceBytes, seconds)); \(ByteCount(statistics.storedBytes)) added"
        if let unread = statistics.unreadBytes {
            text += "; \(ByteCount(unread)) unchanged and not read"
        }
        if let recovery = result.manifest.recovery {
            text += "; restores to \(recovery.recoverableTo.toSeconds)"
        }
        if let only = result.manifest.environment?.only {
            text += "; PARTIAL, of the databases only \(only.joined(separator: ", "))"
        }
        Terminal.say(text + (result.manifest.tainted ? "; TAINTED" : ""))
    }
}
