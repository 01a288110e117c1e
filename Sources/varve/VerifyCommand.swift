import ArgumentParser
import Varve
import VarveFiles
import VarveFormat
import VarveRepository

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that what is stored can be read.",
        discussion: """
            --media reads every stored byte from the medium, not from the page cache, and compares each object with its \
            name; it needs no key and no index. What was read is recorded in the copy's ledger: interrupted, the same \
            command goes on where it stopped; with a budget (--max-duration, --max-bytes) or by age (--older-than) it \
            reads the oldest first. --content decodes every blob, checks its id, and follows every snapshot to each \
            extent it needs; what is lost is named by snapshot, file and byte range. --drill restores a snapshot into a \
            scratch directory, recovers it where it can't reach the live files, verifies every database, compares with \
            what was promised, keeps the evidence in the copy, and cleans up. Without any of them, --media --content.
            """)

    @OptionGroup var options: RepositoryOptions
    @OptionGroup var copies: CopyOptions

    @Option(help: "Another copy than the one that was named (label, id or path).")
    var copy: String?

    @Flag(help: "Stored bytes against names.")
    var media = false

    @Flag(help: "Decoded blobs against ids, and every snapshot's completeness.")
    var content = false

    @Flag(help: "Restore, recover and verify a snapshot, for proof.")
    var drill = false

    @Argument(help: "The snapshot of --drill; latest unless given.")
    var snapshot: String?

    @OptionGroup(title: "Options of --media") var mediaArguments: MediaArguments

    @OptionGroup(title: "Options of --drill") var drillArguments: DrillArguments

    func validate() throws {
        guard media || mediaArguments.areDefault || !content && !drill else {
            throw ValidationError("these are options of --media, which was not asked for")
        }
        guard drill || snapshot == nil && drillArguments.areDefault else {
            throw ValidationError(
                "a snapshot, --scratch and passwords are for --drill, which was not asked for")
        }
    }

    /// What `--json` prints.
    private struct Output: Codable {
        var good: Bool
        var media: VerificationReport?
        var content: VerificationReport?
        var drill: DrillEvidence?
    }

    func run() throws {
        Interruption.install()
        let named = try options.open()
        let repository = try copy.map { try copies.open(named).find($0).there() } ?? named
        // Options of one of them ask for that one.
        let isPlain = !media && !content && !drill
        let wantsMedia = media || isPlain
        let wantsContent = content || isPlain && mediaArguments.areDefault
        let mediaOptions = mediaArguments.options
        let mediaReport =
            wantsMedia ? try carryOut("media", repository) { try $0.verifyMedia(mediaOptions) } : nil
        let contentReport =
            wantsContent ? try carryOut("content", repository) { try $0.verifyContent() } : nil
        let evidence = drill ? try drillArguments.carryOut(snapshot ?? "latest", repository) : nil
        let isWhole = (mediaReport?.isGood ?? true) && (contentReport?.isGood ?? true)
        let good = isWhole && evidence?.isGood ?? true
        if options.json {
            try printJSON(Output(good: good, media: mediaReport, content: contentReport, drill: evidence))
        }
        if isWhole, let evidence, !evidence.isGood {
            throw VarveError(
                .corrupt, "the drill of snapshot \(evidence.snapshot.prefix(19)) has failed",
                location: repository.path,
                hint: "run 'varve verify' to see what is damaged; try the drill with another snapshot or copy"
            )
        }
        guard good else {
            sayHolders(of: (mediaReport?.findings ?? []) + (contentReport?.findings ?? []), named, repository)
            throw VarveError(
                .corrupt, "\(repository.path) is damaged",
                hint:
                    "'varve heal' mends what another copy, or parity, has whole; else back up anew into another repository"
                    + " now: what is named above can't be trusted, the rest restores"
            )
        }
    }

    /// Where what is damaged here can be had: that copies can't be looked for now is not what was asked.
    private func sayHolders(of findings: [Finding], _ named: Repository, _ damaged: Repository) {
        guard let all = try? copies.open(named), all.online.count > 1 else { return }
        var seen: Set<String> = []
        for finding in findings where seen.insert(finding.object).inserted && seen.count <= 20 {
            let holders = all.holders(of: finding.object, but: damaged)
            guard !holders.isEmpty else { continue }
            Terminal.say("whole on \(holders.joined(separator: ", ")): \(finding.object)")
        }
    }

    private func carryOut(
        _ name: String, _ repository: Repository, _ verify: (Verifier) throws -> VerificationReport
    ) throws -> VerificationReport {
        let line = ProgressLine()
        let verifier = Verifier(
            repository, isCancelled: { Interruption.cancellation.isRequested },
            progress: { line.show(Progress(item: $0, bytesDone: $1, bytesTotal: $2)) })
        let report = try verify(verifier)
        line.finish()
        for finding in report.findings {
            let place = finding.range.map { ", bytes \($0.lowerBound) to \($0.upperBound)" } ?? ""
            Terminal.say("damaged: \(repository.path)/\(finding.object)\(place): \(finding.problem)")
        }
        for loss in report.losses { Terminal.say(loss.words) }
        let blobs = report.blobs > 0 ? ", \(report.blobs) blobs" : ""
        Terminal.say(
            "\(name): \(objects(report.objects))\(blobs), \(report.snapshots) snapshots, \(ByteCount(report.bytes)) in "
                + "\(rate(report.bytes, line.seconds))\(report.reading?.means ?? ""): "
                + (report.isGood ? "all good" : "DAMAGED"))
        report.reading?.lines.forEach(Terminal.say)
        if report.baseless > 0 {
            Terminal.say(
                "\(report.baseless) blobs are built on ones that are not here; no snapshot needs them, as after a "
                    + "'varve copy sync' that was cut short")
        }
        return report
    }
}

/// How the media are read.
struct MediaArguments: ParsableArguments {
    @Option(help: "Stop when so much time has passed: 90s, 10m, 2h.")
    var maxDuration: DurationArgument?

    @Option(help: "Read no more than this: 500MiB, 20GiB.")
    var maxBytes: SizeArgument?

    @Option(help: "Only what was not read for so long: 30d, 12h.")
    var olderThan: DurationArgument?

    @Option(help: "No more than this in a second: 50MiB.")
    var rate: SizeArgument?

    @Flag(help: "Begin anew, whatever an interrupted run has left.")
    var restart = false

    @Flag(help: "Through the page cache: fast, but no proof of the medium, and not recorded.")
    var cached = false

    var areDefault: Bool {
        maxDuration == nil && maxBytes == nil && olderThan == nil && rate == nil && !restart && !cached
    }

    var options: MediaOptions {
        var options = MediaOptions()
        options.maximumDuration = maxDuration?.seconds
        options.maximumBytes = maxBytes?.bytes
        options.olderThan = olderThan?.seconds
        options.rate = rate?.bytes
        options.restarts = restart
        options.isCached = cached
        return options
    }
}

extension MediaReading {
    /// Behind the figures of what was read.
    fileprivate var means: String {
        if isCached { return ", from the page cache" }
        if direct + dropBehind == 0 { return "" }
        return dropBehind == 0
            ? ", direct" : direct == 0 ? ", drop-behind" : ", \(direct) direct, \(dropBehind) drop-behind"
    }

    /// What there is to say beside that, one fact a line.
    fileprivate var lines: [String] {
        var lines = notes.map { "ledger: \($0)" }
        if let round, round.objectsBefore > 0 {
            lines.append(
                "round begun \(round.started): \(objects(round.objectsBefore)), \(ByteCount(round.bytesBefore)), were read "
                    + "by interrupted runs before (--restart reads them again)")
        }
        if objectsLeft > 0 {
            lines.append("remaining: \(objects(objectsLeft)), \(ByteCount(bytesLeft))")
        }
        if neverRead > 0 { lines.append("never read: \(objects(neverRead))") }
        // Of a whole round nobody asks.
        if round == nil, !isCached, let oldest {
            lines.append("oldest reading: \(oldest), \(age(Clock.now().seconds - oldest.seconds)) ago")
        }
        return lines
    }
}
